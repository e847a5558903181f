"""Says what went wrong in a file of the user: the line in it and the error, without a stack trace."""

from __future__ import annotations

import traceback
from pathlib import Path

from moa_mcp.text.redact import redact
from moa_mcp.text.visible import visible

_LONGEST = 300


def described(error: BaseException, path: Path) -> str:
    """Return an error with the last line of the user's file that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if _is(frame.filename, path) and frame.lineno is not None]
    if isinstance(error, SyntaxError) and error.filename is not None and _is(error.filename, path):
        lines = [error.lineno or 1]
    where = f"{path.name}, line {lines[-1]}" if lines else path.name
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    detail = f": {_shortened(message)}" if message.strip() else ""
    return f"{where}: {type(error).__name__}{detail}"


def _is(filename: str, path: Path) -> bool:
    return Path(filename) == path


def _shortened(message: str) -> str:
    """Return a message on one line, without keys."""
    line = " ".join(visible(redact(message)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
