"""Detects corrupt data and describes the errors of a journal. SQLite itself has no checksums of its content.

Error messages never quote stored data.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from moa_mcp.errors import JournalDamaged, JournalError
from moa_mcp.journal.damage import SENSELESS

_OTHER_TABLES = re.compile(
    r"no such (table|column)|table \S+ has no column named|duplicate column name|table \S+ already exists"
)
"""SQLite errors of statements for tables that differ from those of the file."""


def damaged_file(path: Path, *, some_left: bool = False) -> JournalDamaged:
    """Return the error for a corrupt file; `some_left` if a run can still be read."""
    left = ". Runs that are not damaged can still be shown" if some_left else ""
    return JournalDamaged(
        f"the journal {path} can't be used: it is damaged; restore a backup, or move it away to start a new one{left}"
    )


def another_version(path: Path, missing: Sequence[str] = ()) -> JournalError:
    """Return the error for a file whose tables are not those of this version; `missing` names columns."""
    lacks = f" (missing: {', '.join(missing)})" if missing else ""
    return JournalError(
        f"the journal {path} was created by another version of moa-mcp: its tables differ from those of this "
        f"version{lacks}. Open it with that version, or select another file with --journal PATH. If no other version "
        "was in use, it is damaged"
    )


@contextmanager
def explaining(path: Path) -> Generator[None]:
    """Turn errors of the file into a `JournalError` that does not quote stored data."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explained(path, error) from error
    except SENSELESS as error:
        raise damaged_file(path) from error


def explained(path: Path, error: sqlite3.Error | OSError) -> JournalError:
    """Return an error that describes the problem with the file and a fix."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR and _OTHER_TABLES.match(str(error)):
        return another_version(path)
    message = _message(error)
    if message is None:
        return damaged_file(path)
    remedy = next(
        (words for sign, words in _REMEDIES.items() if sign in message), "use another file with --journal PATH"
    )
    return JournalError(
        f"the journal {path} can't be used: {message}; {remedy}. No model is called if calls can't be recorded; "
        "--journal none runs without a journal"
    )


def read_only(path: Path) -> JournalError:
    """Return the error for a write to a read-only journal."""
    return JournalError(
        f"the journal {path} is read-only: its runs can be listed, shown and exported, but nothing can be recorded; "
        "make the file and its folder writable, or use another file with --journal PATH. No model is called if calls "
        "can't be recorded; --journal none runs without a journal"
    )


def _message(error: sqlite3.Error | OSError) -> str | None:
    """Return the message of SQLite or the system, unless it may quote stored data; None if the file is corrupt."""
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror or "it can't be opened"
    if isinstance(error, sqlite3.ProgrammingError):
        return "it is closed"
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else _TELLING.get(code & 0xFF)


_TELLING = {
    sqlite3.SQLITE_PERM: "Permission denied",
    sqlite3.SQLITE_BUSY: "database is locked",
    sqlite3.SQLITE_LOCKED: "database is locked",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_READONLY: "attempt to write a readonly database",
    sqlite3.SQLITE_INTERRUPT: "interrupted",
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_CANTOPEN: "unable to open database file",
    sqlite3.SQLITE_PROTOCOL: "locking protocol",
    sqlite3.SQLITE_NOLFS: "large file support is disabled",
    sqlite3.SQLITE_AUTH: "authorization denied",
    sqlite3.SQLITE_NOTADB: "file is not a database",
}
"""Messages by SQLite error code, for errors that do not quote stored data."""
_REMEDIES = {
    "disk is full": "make room on the disk",
    "disk I/O": "check the disk and your quota, or use another file with --journal PATH",
    "readonly": "make the file writable",
    "Read-only": "use a writable folder with --journal PATH",
    "Permission": "make the file and its folder readable and writable, or use another file with --journal PATH",
    "not a database": "it is damaged or not a journal: move it away",
    "locked": "another process has locked it for too long: stop that process",
}
