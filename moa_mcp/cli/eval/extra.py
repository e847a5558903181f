"""The libraries of evaluations, which are in an extra."""

from __future__ import annotations

from importlib.util import find_spec

from moa_mcp.cli.options import Refused

_NEEDED = ("numpy", "scipy", "statsmodels", "matplotlib")


def check_extra(*packages: str) -> None:
    """Raise `Refused` if a library of evaluations is not installed; `packages` are needed besides those of all."""
    lacking = [each for each in (*_NEEDED, *packages) if find_spec(each) is None]
    if lacking:
        are = "is" if len(lacking) == 1 else "are"
        raise Refused(
            f"moa-mcp eval needs {', '.join(lacking)}, which {are} not installed",
            'Install what it needs: pip install "moa-mcp[eval]"',
        )
