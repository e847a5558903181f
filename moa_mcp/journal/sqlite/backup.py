"""Copies a journal while processes write to it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from moa_mcp.errors import JournalError
from moa_mcp.journal.sqlite.damage import explaining
from moa_mcp.journal.sqlite.schema import connected


def back_up(journal: Path, target: Path) -> int:
    """Write a copy of a journal to a new file that only its user can read, and return its number of runs.

    The copy is the state of one moment. Writers do not wait for it. Runs that were active have no owner in the copy, so
    that they can be resumed there at once.

    Raises:
        JournalError: the target exists or can't be written, or the journal is damaged.

    """
    if target.exists():
        raise JournalError(f"the backup {target} exists already; choose another file")
    with explaining(journal):
        source = connected(f"{journal.absolute().as_uri()}?mode=rw", uri=True)
    with closing(source):
        try:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.")  # mode 0600
        except OSError as error:
            raise JournalError(f"the backup {target} can't be written: {error.strerror}") from error
        os.close(handle)
        copy = Path(name)
        try:
            with explaining(copy), closing(connected(name)) as db:
                source.backup(db)  # all pages in one read transaction
                runs = _checked(db, journal)
                db.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            copy.replace(target)
        finally:
            copy.unlink(missing_ok=True)
    return runs


def _checked(db: sqlite3.Connection, journal: Path) -> int:
    (result,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise JournalError(f"the journal {journal} is damaged, so the copy was discarded; keep your earlier backups")
    db.execute("UPDATE runs SET owner = NULL, lease_until = 0")
    return int(db.execute("SELECT count(*) FROM runs").fetchone()[0])
