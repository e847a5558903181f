"""How a journal's file is opened: to write where that can be, else to read it without changing anything there."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from moa_mcp.errors import JournalError
from moa_mcp.journal import wal
from moa_mcp.journal.schema import connected, is_current, opened

_log = logging.getLogger(__name__)

_HEADER, _SMALLEST = b"SQLite format 3\0", 512


class Opened(NamedTuple):
    """A connection, and what it is good for."""

    db: sqlite3.Connection
    writes: bool = True
    copy: TemporaryDirectory[str] | None = None
    """Where the file was copied to, since it could not be read as it is."""

    def discard(self) -> None:
        """Remove the copy, if there is one; the connection is closed."""
        if self.copy is not None:
            self.copy.cleanup()


def opened_at_best(path: Path, synchronous: str) -> Opened:
    """Open a file to write, or to read if nothing can be written there.

    Raises:
        JournalError: it can't even be read; says why.
        sqlite3.Error, OSError: the same, and SQLite or the system says why.

    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no file of the usual kind"
        raise JournalError(f"the journal {path} can't be used: it is {what}; name a file with --journal PATH")
    if path.exists() and not _looks_like_one(path):
        raise JournalError(
            f"the journal {path} can't be used: file is not a database; it is damaged or no journal: move it away, or "
            "name another with --journal PATH"
        )
    if not path.exists() or os.access(path, os.W_OK):
        try:
            return Opened(_opened(path, synchronous))
        except (OSError, sqlite3.OperationalError) as error:
            if not _is_unwritable(path, error):
                raise
    return _opened_to_read(path)


def _opened(path: Path, synchronous: str, original: Path | None = None) -> sqlite3.Connection:
    before = wal.lengths(path)
    db = opened(path, synchronous)
    if wal.is_cut(path, before):
        _log.warning(
            "the journal %s is damaged: what was written last, beside it in a file -wal, can't be read from some place "
            "on; its runs are as they stood before. A copy of both files may still have it",
            original or path,
        )
    return db


def _looks_like_one(path: Path) -> bool:
    """Whether a file is empty or begins as SQLite's do, which takes files that are no more than a beginning."""
    with path.open("rb") as file:
        head = file.read(_SMALLEST)
    return not head or (len(head) == _SMALLEST and head.startswith(_HEADER))


def _is_unwritable(path: Path, error: OSError | sqlite3.Error | JournalError) -> bool:
    """Whether that was raised because nothing can be written to a file or beside it, so that it may still be read."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    refused = isinstance(error, OSError) or code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return code == sqlite3.SQLITE_READONLY or (refused and not writable and path.is_file())


def _opened_to_read(path: Path) -> Opened:
    """Open a file that can't be written, or a copy of it where not even SQLite's bookkeeping finds a place beside it.

    What was written last may stand in its write-ahead log alone; without one, nobody writes now.
    """
    log = path.with_name(f"{path.name}-wal")
    unchanging = not log.exists() or not log.stat().st_size
    for how in ("mode=ro", "mode=ro&immutable=1") if unchanging else ("mode=ro",):
        db = _current(path, how)
        if db is not None:
            return Opened(db, writes=False)
    return _copied(path, log)


def _current(path: Path, how: str) -> sqlite3.Connection | None:
    """Return a connection to a file, if it can be read in this way and is of the latest version.

    Raises:
        JournalError: no version of it can be used.
        sqlite3.Error: it can't be read, and not since nothing can be written.

    """
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
