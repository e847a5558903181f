"""What is on record and makes no sense: a bit that the disk has lost. SQLite keeps no checksums of what it holds.

Nothing that is said of it quotes what is stored.
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from moa_mcp.errors import JournalDamaged, JournalError

SENSELESS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, zlib.error)
"""What comes of reading what makes no sense."""
_ID = re.compile(r"[\w.-]{1,64}")
_OTHER_TABLES = re.compile(
    r"no such (table|column)|table \S+ has no column named|duplicate column name|table \S+ already exists"
)
"""What SQLite says of statements that are written for other tables than the file has."""


@contextmanager
def readable(run_id: str) -> Generator[None]:
    """Hold what is done inside to what is on record of a run. Raises `JournalError` if that makes no sense."""
    try:
        yield
    except SENSELESS as error:
        raise damaged_run(run_id) from error


def damaged_run(run_id: str) -> JournalDamaged:
    """Return the error of a run whose record makes no sense."""
    named = run_id if _ID.fullmatch(run_id) else "(its id is lost)"
    return JournalDamaged(
        f"what is on record of run {named} can't be read: it is damaged, or from another version of moa-mcp; "
        "other runs are not touched by that, and a copy of the journal may still have it"
    )


def damaged_file(path: Path, *, some_left: bool = False) -> JournalDamaged:
    """Return the error of a file that makes no sense, no run of it alone; `some_left` if a run can still be read."""
    left = ". Runs that the damage did not reach can still be shown" if some_left else ""
    return JournalDamaged(
        f"the journal {path} can't be used: it is damaged; restore a copy of it, or move it away and begin a new one"
        f"{left}"
    )


def another_version(path: Path, missing: Sequence[str] = ()) -> JournalError:
    """Return the error of a file whose tables are not those of this version; `missing` names columns of ours."""
    lacks = f" (it has no {', '.join(missing)})" if missing else ""
    return JournalError(
        f"the journal {path} was made by another version of moa-mcp: its tables differ from those that this version "
        f"uses{lacks}. Open it with the version that made it, or name another with --journal PATH. If no other "
        "version was in use, it is damaged"
    )


@contextmanager
def explaining(path: Path) -> Generator[None]:
    """Say what is wrong with the file in words that help, and that quote nothing of it. Raises `JournalError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explained(path, error) from error
    except SENSELESS as error:
        raise damaged_file(path) from error


def checked(text: str, *before: object) -> int:
    """Return a checksum of a text and of what it belongs to."""
    crc = 0
    for part in (*before, text):
        crc = zlib.crc32(str(part).encode("utf-8", "surrogatepass"), crc)
    return crc


def explained(path: Path, error: sqlite3.Error | OSError) -> JournalError:
    """Return what is wrong with the file in words that help."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR and _OTHER_TABLES.match(str(error)):
        return another_version(path)
    said = _said(error)
    if said is None:
        return damaged_file(path)
    remedy = next((words for sign, words in _REMEDIES.items() if sign in said), "name another with --journal PATH")
    return JournalError(
        f"the journal {path} can't be used: {said}; {remedy}. No model is asked for what could not be recorded; "
        "--journal none does without"
    )


def read_only(path: Path) -> JournalError:
    """Return the error of a write to what can only be read."""
    return JournalError(
        f"the journal {path} is read-only: its runs can be listed, shown and exported, but nothing can be recorded in "
        "it; make the file and its folder writable, or name another with --journal PATH. No model is asked for what "
        "could not be recorded; --journal none does without"
    )


def _said(error: sqlite3.Error | OSError) -> str | None:
    """Return what SQLite or the system says, unless it may quote what is stored; None if that is damaged."""
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
"""By SQLite's code: what it says, where that tells of more than of what is stored."""
_REMEDIES = {
    "disk is full": "make room on the disk",
    "disk I/O": "see whether its disk is sound and your quota not used up, or name another with --journal PATH",
    "readonly": "make the file writable",
    "Read-only": "name a writable place with --journal PATH",
    "Permission": "make the file and its folder yours to read and write, or name another with --journal PATH",
    "not a database": "it is damaged or no journal: move it away",
    "locked": "another process holds it for too long: end that one",
}
