"""Environments of the benchmarks' own, with peers from the package registry; each is made once, and kept."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from platformdirs import user_cache_path

ROOT = Path(__file__).parents[1]


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


def python_with_project() -> str:
    """Return the interpreter of an environment that has this source tree as pip installs it, without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = python_with(*project["dependencies"])
    subprocess.run([python, "-m", "pip", "install", "-qq", "--no-deps", "--force-reinstall", str(ROOT)], check=True)
    return python
