"""Deletes runs from a SQLite journal, oldest first, in small batches that do not delay other writes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from moa_mcp.journal.spending import oldest_day

_SLICE = 8
"""Runs deleted in one transaction, at a few milliseconds each."""
_FREE = "(status NOT IN ('queued', 'running') OR (status = 'running' AND lease_until < ?))"


class Forgetting(Struct, frozen=True):
    """Which inactive runs to delete."""

    older_than: float
    """Runs that were last changed before this time; seconds since the epoch."""
    beyond_bytes: int | None
    """The oldest runs while the journal is larger."""

    def some(self, db: sqlite3.Connection) -> tuple[int, bool]:
        """Delete a few runs; return their number and whether there may be more."""
        db.execute("DELETE FROM spending WHERE day < ?", (oldest_day(),))
        sql = f"SELECT run_id FROM runs WHERE {_FREE} AND updated_at < ? ORDER BY updated_at LIMIT ?"  # noqa: S608
        old = db.execute(sql, (time.time(), self.older_than, _SLICE)).fetchall()
        if not old and (share := self._beyond(db)):
            old = db.execute(sql, (time.time(), float("inf"), min(_SLICE, share))).fetchall()
        _forget(db, old)
        return len(old), bool(old)

    def _beyond(self, db: sqlite3.Connection) -> int:
        """Return the number of runs to delete for the size limit, if all were equally large."""
        size = _size(db)
        if self.beyond_bytes is None or size <= self.beyond_bytes:
            return 0
        free = db.execute(f"SELECT count(*) FROM runs WHERE {_FREE}", (time.time(),)).fetchone()[0]  # noqa: S608
        return max(1, int(free) * (size - self.beyond_bytes) // size)

    def would(self, db: sqlite3.Connection) -> int:
        """Return the number of runs that would be deleted, approximate for a size limit."""
        rows = [_Run(*row) for row in db.execute(_RUNS, (time.time(),))]
        size = _size(db)
        whole, texts = size, max(1, sum(run.bytes for run in rows))
        gone = 0
        for run in rows:
            too_big = self.beyond_bytes is not None and size > self.beyond_bytes
            if run.free and (run.updated_at < self.older_than or too_big):
                size -= run.bytes * whole // texts
                gone += 1
        return gone


class _Run(NamedTuple):
    free: bool
    updated_at: float
    bytes: int


_RUNS = f"""
SELECT {_FREE}, updated_at,
    (SELECT coalesce(sum(length(body)), 0) FROM events WHERE events.run_id = runs.run_id)
    + (SELECT coalesce(sum(length(body)), 0) FROM refs JOIN texts USING(text_id) WHERE refs.run_id = runs.run_id)
FROM runs ORDER BY updated_at
"""  # noqa: S608  no value is in it


def _forget(db: sqlite3.Connection, runs: Sequence[tuple[str]]) -> None:
    """Delete runs with their events, and the texts without another reference."""
    refs = [row for run in runs for row in db.execute("SELECT text_id FROM refs WHERE run_id = ?", run)]
    db.executemany("DELETE FROM runs WHERE run_id = ?", runs)
    unused = "DELETE FROM texts WHERE text_id = ? AND NOT EXISTS (SELECT 1 FROM refs WHERE text_id = texts.text_id)"
    db.executemany(unused, refs)


def _size(db: sqlite3.Connection) -> int:
    """Return the bytes in use. Deleting runs does not shrink the file; the space is reused."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
