"""Writes the files of reports as a whole: an interrupted write leaves the old file."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

_PRIVATE = 0o600
_USUAL = 0o666


def write_file(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write a file, and keep the mode of one that is there; a new one has the usual mode, or only its owner reads it.

    A folder that is missing is created. What is not a regular file, such as /dev/stdout, is written directly.

    Raises:
        OSError: it can't be written.

    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))  # a link stays a link
    path.parent.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
    mode = _PRIVATE if private else _mode_of(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int:
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return _USUAL & ~mask
