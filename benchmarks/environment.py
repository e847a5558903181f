"""Environments of the benchmarks' own, with peers from the package registry; each is made once, and kept."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv

from platformdirs import user_cache_path


def python_with(*requirements: str) -> str:
    """Return the interpreter of an environment that has these packages."""
    name = hashlib.sha256("\n".join((sys.version, *requirements)).encode()).hexdigest()[:12]
    folder = user_cache_path("moa-mcp") / "benchmarks" / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "ready").exists():
        print(f"Installing {', '.join(requirements)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *requirements], check=True)
        (folder / "ready").touch()
    return str(python)
