"""Writes a file as a whole and keeps the one that it replaces."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path


def replaced(path: Path, text: str, mode: int = 0o666) -> Path | None:
    """Write a text to a file, and return the backup of the file that was there; None if there was none.

    An interrupted write leaves the old file. An older backup is never replaced. The file keeps its mode; a new one gets
    `mode`, less the umask. Raises `OSError`.
    """
    path = Path(os.path.realpath(path))  # a link stays a link; `resolve` has an exception of its own for loops
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    old = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, old or mode), "wb") as file:
            file.write(text.encode())
        if old is not None:
            new.chmod(old)
        backup = _backup(path)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return backup


def backups(path: Path) -> Iterator[Path]:
    """Yield the backups of a file, the oldest first."""
    return takewhile(Path.exists, _names(Path(os.path.realpath(path))))


def _names(path: Path) -> Iterator[Path]:
    """Yield the names of backups: FILE.bak, FILE.bak2 and so on."""
    return (path.with_name(f"{path.name}.bak{number if number > 1 else ''}") for number in count(1))


def _backup(path: Path) -> Path | None:
    """Copy the file to the first free name."""
    if not path.exists():
        return None
    backup = next(each for each in _names(path) if not each.exists())
    shutil.copy2(path, backup)
    return backup
