"""Writes a file as a whole and keeps the one that it replaces."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path


def replaced(path: Path, text: str) -> Path | None:
    """Write a text to a file, and return the backup of the file that was there; None if there was none.

    An interrupted write leaves the old file. An older backup is never replaced. Raises `OSError`.
    """
    path = Path(os.path.realpath(path))  # a link stays a link; `resolve` has an exception of its own for loops
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_text(text, "utf-8")
        backup = _backup(path)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return backup


def _backup(path: Path) -> Path | None:
    """Copy the file to the first free name: FILE.bak, FILE.bak2 and so on."""
    if not path.exists():
        return None
    names = (f"{path.name}.bak{number if number > 1 else ''}" for number in count(1))
    backup = next(each for name in names if not (each := path.with_name(name)).exists())
    shutil.copy2(path, backup)
    return backup
