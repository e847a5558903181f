"""Selects the records of runs in SQLite by filters, newest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from moa_mcp.errors import RunNotFound
from moa_mcp.journal import RunRecord
from moa_mcp.journal.room import require_room
from moa_mcp.journal.sqlite.rows import SELECT, any_record_of
from moa_mcp.text.surrogates import is_encodable
from moa_mcp.values import ACTIVE, Status

_ACTIVE = "status IN ('queued', 'running')"
"""Written as in the index of active runs: SQLite uses that index only for these words."""


_ALL = -1


class Selection(NamedTuple):
    """Which records to return; None stands for any."""

    statuses: Collection[Status] | None
    caller: str | None
    batch: str | None
    before: str | None
    changed_since: float
    limit: int

    def read(self, db: sqlite3.Connection) -> tuple[RunRecord, ...]:
        """Return the records that match. Raises `RunNotFound` if that of `before` is not there."""
        conditions = dict(self._conditions(db))
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        sql = f"{SELECT} {where}ORDER BY created_at DESC, rowid DESC LIMIT ?"
        values = chain.from_iterable(conditions.values())
        return tuple(map(any_record_of, db.execute(sql, (*values, self.limit)).fetchall()))

    def _conditions(self, db: sqlite3.Connection) -> Iterator[tuple[str, Sequence[object]]]:
        if self.statuses is not None:
            yield f"status IN ({','.join('?' * len(self.statuses))})", (*self.statuses,)
            if ACTIVE.issuperset(self.statuses):
                yield _ACTIVE, ()
        for name, value in (("caller", self.caller), ("batch", self.batch)):
            if value is not None:
                yield f"{name} = ?", (value,)
            if value:
                yield f"{name} != ''", ()  # as in its index
        if self.changed_since:
            yield "updated_at >= ?", (self.changed_since,)  # a corrupt time, which is no number, is listed too
        if self.before is not None:
            yield "(created_at, rowid) < (?, ?)", _place(db, self.before)


def require_room_for(db: sqlite3.Connection, run_id: str, caller: str, max_runs: int | None) -> None:
    """Raise `TooManyRuns` if a caller has so many active runs besides one."""
    if caller and max_runs is not None:
        require_room(run_id, Selection(ACTIVE, caller, None, None, 0.0, _ALL).read(db), max_runs)


def _place(db: sqlite3.Connection, run_id: str) -> tuple[float, int]:
    row = None
    if is_encodable(run_id):
        row = db.execute("SELECT created_at, rowid FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        raise RunNotFound(run_id)
    return row[0], row[1]
