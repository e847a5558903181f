"""Facts about the file of a journal, read without any change of it."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from moa_mcp.journal.owners import is_dead
from moa_mcp.journal.sqlite.damage import explaining
from moa_mcp.journal.sqlite.opening import opened_to_read, require_database
from moa_mcp.journal.sqlite.schema import MIGRATIONS

LATEST = len(MIGRATIONS)
_VERSION = slice(60, 64)
"""Where the header of an SQLite database has its user version, in big-endian order."""


class Inspection(NamedTuple):
    """What is in a journal."""

    version: int
    """The version of its tables; `LATEST` is the one of this moa-mcp."""
    size: int
    """Bytes on the disk, with its log."""
    runs: int | None
    """Number of runs; None for an earlier version, which is upgraded before it is read."""
    interrupted: int
    """Number of runs that are not finished and that no process owns."""


def inspected(path: Path) -> Inspection:
    """Return the facts about an existing file.

    Raises:
        JournalError: it can't be read, or is not a journal; describes why.

    """
    with explaining(path):
        require_database(path)
        size = sum(each.stat().st_size for each in files(path))
        if not size:
            return Inspection(LATEST, 0, 0, 0)
        version = _version(path)
        if version < LATEST:
            return Inspection(version, size, None, 0)
        opened = opened_to_read(path)
        try:
            with closing(opened.db) as db:
                runs = int(db.execute("SELECT count(*) FROM runs").fetchone()[0])
                running = db.execute("SELECT owner, lease_until FROM runs WHERE status = 'running'").fetchall()
        finally:
            opened.discard()
        now = time.time()
        free = sum(is_dead(owner) or until < now for owner, until in running)
        return Inspection(LATEST, size, runs, free)


def _version(path: Path) -> int:
    """Return the version of a file; the latest one while the log, which only SQLite reads, may have another."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        return LATEST
    with path.open("rb") as file:
        return int.from_bytes(file.read(_VERSION.stop)[_VERSION], "big")


def files(path: Path) -> tuple[Path, ...]:
    """Return the existing files of a journal: itself, its log and the index of its log."""
    return tuple(each for end in ("", "-wal", "-shm") if (each := path.with_name(f"{path.name}{end}")).exists())
