"""Opens the file of a journal for writing, or read-only without changing anything."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from moa_mcp.errors import JournalError
from moa_mcp.journal.sqlite import wal
from moa_mcp.journal.sqlite.schema import connected, is_current, opened

_log = logging.getLogger(__name__)

_HEADER, _SMALLEST = b"SQLite format 3\0", 512


class Opened(NamedTuple):
    """A connection and its capabilities."""

    db: sqlite3.Connection
    writes: bool = True
    copy: TemporaryDirectory[str] | None = None
    """A temporary copy of the file, if the original can't be read in place."""

    def discard(self) -> None:
        """Delete the copy, if there is one. The connection must be closed."""
        if self.copy is not None:
            self.copy.cleanup()


def opened_at_best(path: Path, synchronous: str) -> Opened:
    """Open a file for writing, or for reading if it can't be written.

    Raises:
        JournalError: it can't be read; describes why.
        sqlite3.Error, OSError: it can't be read, for a reason of SQLite or the system.

    """
    if path.exists():
        require_database(path)
    if not path.exists() or os.access(path, os.W_OK):
        try:
            return Opened(_opened(path, synchronous))
        except (OSError, sqlite3.OperationalError) as error:
            if not _is_unwritable(path, error):
                raise
    return opened_to_read(path)


def _opened(path: Path, synchronous: str, original: Path | None = None) -> sqlite3.Connection:
    before = wal.lengths(path)
    db = opened(path, synchronous)
    if wal.is_cut(path, before):
        _log.warning(
            "the journal %s is damaged: the latest writes, in the -wal file beside it, can't be read; its runs are in "
            "their earlier state. A backup of both files may still have them",
            original or path,
        )
    return db


def require_database(path: Path) -> None:
    """Refuse an existing file that is not empty and does not start like an SQLite database. Raises `JournalError`.

    SQLite itself accepts truncated headers.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file"
        raise JournalError(f"the journal {path} can't be used: it is {what}; use another file with --journal PATH")
    with path.open("rb") as file:
        head = file.read(_SMALLEST)
    if head and not (len(head) == _SMALLEST and head.startswith(_HEADER)):
        raise JournalError(
            f"the journal {path} can't be used: file is not a database; it is damaged or not a journal: move it away, "
            "or use another file with --journal PATH"
        )


def _is_unwritable(path: Path, error: OSError | sqlite3.Error | JournalError) -> bool:
    """Whether an error means that the file or its folder can't be written, so that it may still be readable."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    refused = isinstance(error, OSError) or code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return code == sqlite3.SQLITE_READONLY or (refused and not writable and path.is_file())


def opened_to_read(path: Path) -> Opened:
    """Open a read-only file, or a copy of it if SQLite can't create its auxiliary files.

    The latest writes may be in the write-ahead log only. Without a log, no process is writing.
    """
    log = path.with_name(f"{path.name}-wal")
    unchanging = not log.exists() or not log.stat().st_size
    for how in ("mode=ro", "mode=ro&immutable=1") if unchanging else ("mode=ro",):
        db = _current(path, how)
        if db is not None:
            return Opened(db, writes=False)
    return _copied(path, log)


def _current(path: Path, how: str) -> sqlite3.Connection | None:
    """Return a connection if the file can be read in this mode and has the latest version."""
    db = connected(f"{path.absolute().as_uri()}?{how}", uri=True)
    try:
        if is_current(db, path):
            return db
    except (sqlite3.Error, JournalError) as error:
        db.close()
        if _is_unwritable(path, error):
            return None
        raise
    db.close()
    return None


def _copied(path: Path, log: Path) -> Opened:
    copy = TemporaryDirectory(prefix="moa-mcp-journal-", ignore_cleanup_errors=True)
    try:
        there = Path(copy.name) / path.name
        shutil.copyfile(path, there)
        if log.exists():
            shutil.copyfile(log, there.with_name(log.name))
        return Opened(_opened(there, "OFF", path), writes=False, copy=copy)
    except BaseException:
        copy.cleanup()
        raise
