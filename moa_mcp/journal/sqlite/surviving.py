"""Whether anything of a damaged journal can still be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress

from moa_mcp.errors import JournalError
from moa_mcp.journal.damage import SENSELESS
from moa_mcp.journal.sqlite.reading import RunReader
from moa_mcp.journal.sqlite.rows import SELECT, record_of

_TRIED = 20
"""Runs that are looked at: more would take long and say little."""


def holds_a_run(db: sqlite3.Connection) -> bool:
    """Whether one of the latest runs can be listed and shown."""
    with suppress(sqlite3.Error, JournalError, *SENSELESS):
        rows = db.execute(f"{SELECT} ORDER BY created_at DESC LIMIT {_TRIED}").fetchall()
        return any(_readable(db, rows))
    return False


def _readable(db: sqlite3.Connection, rows: list[tuple[object, ...]]) -> Iterator[bool]:
    for row in rows:
        with suppress(sqlite3.Error, JournalError, *SENSELESS):
            yield bool(tuple(RunReader().read(db, record_of(row).run_id, 0).events()))
