"""Notices what other processes write to a SQLite file. SQLite sends no notifications, but has a number that changes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Container, Iterator
from contextlib import suppress
from typing import Any

from moa_mcp.journal.news import Listeners, News
from moa_mcp.journal.sqlite.writer import Writer

_Active = dict[str, tuple[str, str | None]]
"""Status and owner of active runs."""


class Watch:
    """Tells listeners what other processes write. What it has seen belongs to the thread of the writer."""

    def __init__(self, listeners: Listeners, mine: Container[str]) -> None:
        """Ignore the events of the runs in `mine`, which this process writes."""
        self._listeners = listeners
        self._mine = mine
        self._version = 0
        self._last_event = self._last_run = 0
        """Numbers of the last rows."""
        self._active: _Active = {}

    def start(self, writer: Writer[Any], loop: asyncio.AbstractEventLoop, db: sqlite3.Connection) -> None:
        """Look at the file while there are listeners, from its present state on. This is work for the writer."""

        def look(db: sqlite3.Connection) -> bool:
            found = tuple(self.news(db))
            if found:
                with suppress(RuntimeError):  # the loop is closed, so nobody listens
                    loop.call_soon_threadsafe(self._tell, found)
            return bool(self._listeners)

        if not writer.is_looking:
            self._version, self._active = _version(db), _active(db)
            self._last_event, self._last_run = _last(db, "events"), _last(db, "runs")
        writer.look(look)

    def _tell(self, found: tuple[News, ...]) -> None:
        for each in found:
            self._listeners.tell(each)

    def news(self, db: sqlite3.Connection) -> Iterator[News]:
        """Yield what other connections have committed since the last call."""
        version = _version(db)
        if version == self._version:
            return
        self._version = version
        yield News("spending")  # it has no mark of its own
        before, self._active = self._active, _active(db)
        written, begun = self._written(db), self._begun(db)
        yield from (News("changed", run_id) for run_id in written if run_id not in self._mine)
        for run_id, state in self._active.items():
            if state != before.get(run_id):
                status, owner = state
                yield News("queued" if status == "queued" else "changed" if owner else "ended", run_id)
        for run_id in (before.keys() | written | begun) - self._active.keys():
            yield News("cancelled" if _is_cancelled(db, run_id) else "ended", run_id)

    def _written(self, db: sqlite3.Connection) -> set[str]:
        """Return the runs with new events."""
        first, self._last_event = self._last_event, _last(db, "events")
        return {run_id for (run_id,) in db.execute("SELECT DISTINCT run_id FROM events WHERE seq > ?", (first,))}

    def _begun(self, db: sqlite3.Connection) -> set[str]:
        """Return the new runs; one that ended soon was never seen as active."""
        first, self._last_run = self._last_run, _last(db, "runs")
        return {run_id for (run_id,) in db.execute("SELECT run_id FROM runs WHERE rowid > ?", (first,))}


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA data_version").fetchone()[0])


def _last(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0])  # noqa: S608  a name of ours


def _active(db: sqlite3.Connection) -> _Active:
    sql = "SELECT run_id, status, owner FROM runs WHERE status IN ('queued', 'running')"
    return {run_id: (status, owner) for run_id, status, owner in db.execute(sql)}


def _is_cancelled(db: sqlite3.Connection, run_id: str) -> bool:
    sql = "SELECT 1 FROM runs WHERE run_id = ? AND status = 'cancelled'"
    return bool(db.execute(sql, (run_id,)).fetchall())
