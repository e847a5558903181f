"""The list of runs with its filters: the records are read once, and then those that changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import anyio
from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.errors import JournalError, RunNotFound
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.runs import question_of, traced, was_simulated
from moa_mcp.runs.lookup import every
from moa_mcp.trace.trace import Trace
from moa_mcp.values import ACTIVE
from moa_mcp.viewer.data import Json
from moa_mcp.viewing.followed import FollowedRuns

PAGE = 25
"""Runs of one page."""
_SHOWN = 300
"""Characters of a question in the list."""
_SLACK_S = 60.0
_RELOADED_S = 120.0
"""Seconds after which all records are read again, since clocks may be set back and runs deleted."""
_BUDGET_S = 0.7
"""Seconds after which the figures of the other runs of a page wait for its next request."""


class Filter(NamedTuple):
    """What a page of the list shows. An empty text is any."""

    status: str = ""
    pipeline: str = ""
    text: str = ""
    """Words that are in the question."""
    page: int = 1


class _Entry(Struct):
    record: RunRecord
    """Without its definition, which may be long."""
    question: str
    simulated: bool
    searched: str

    @property
    def status(self) -> str:
        running = self.record.status == "running"
        return (
            "damaged"
            if self.record.damaged
            else "interrupted"
            if running and not self.record.owned
            else self.record.status
        )

    def matches(self, chosen: Filter) -> bool:
        return (
            chosen.status in {"", self.status}
            and chosen.pipeline in {"", self.record.pipeline}
            and all(word in self.searched for word in chosen.text.casefold().split())
        )


class _Figures(NamedTuple):
    seconds: float | None
    cost_usd: Decimal | None
    resumed: int


class Listing:
    """The recorded runs, newest first."""

    def __init__(self, journal: Journal, followed: FollowedRuns) -> None:
        self._journal = journal
        self._followed = followed
        self._lock = anyio.Lock()
        self._entries: dict[str, _Entry] = {}
        self._seen = 0.0
        """The time of the latest change that was read, in seconds since the epoch."""
        self._read_at: float | None = None
        self._figures: dict[tuple[str, float], _Figures | None] = {}

    async def page(self, chosen: Filter) -> dict[str, Json]:
        """Return a page of the runs that match, as JSON. Raises `JournalError`."""
        async with self._lock:
            await self._refresh()
        entries = sorted(self._entries.values(), key=lambda each: each.record.created_at, reverse=True)
        found = [each for each in entries if each.matches(chosen)]
        pages = max(1, -(-len(found) // PAGE))
        number = min(max(1, chosen.page), pages)
        until = time.monotonic() + _BUDGET_S
        rows: list[Json] = [await self._row(each, until) for each in found[(number - 1) * PAGE :][:PAGE]]
        names: list[Json] = [*sorted({each.record.pipeline for each in entries})]
        return {
            "rows": rows,
            "page": number,
            "pages": pages,
            "size": PAGE,
            "found": len(found),
            "total": len(entries),
            "pipelines": names,
        }

    async def _refresh(self) -> None:
        now = time.monotonic()
        whole = self._read_at is None or now - self._read_at > _RELOADED_S
        if whole:
            self._entries, self._seen, self._read_at = {}, 0.0, now
        since = max(0.0, self._seen - _SLACK_S)
        changed = {each.run_id: each async for each in every(self._journal, changed_since=since)}
        self._entries |= {each.run_id: _entry(each) for each in changed.values()}
        latest = max([self._seen, *(each.updated_at for each in changed.values())])
        self._seen = min(latest, time.time())  # a clock that was set back must not hide what changes now
        active = {each.run_id: each async for each in every(self._journal, ACTIVE)}
        for run_id in [each for each in self._active() if each not in changed]:  # the loss of an owner changes no time
            record = active.get(run_id) or await self._journal.record(run_id)
            if record is None:
                del self._entries[run_id]
            else:
                self._entries[run_id] = _entry(record)

    def _active(self) -> Iterator[str]:
        return (run_id for run_id, each in self._entries.items() if each.record.status in ACTIVE)

    async def _row(self, entry: _Entry, until: float) -> Json:
        record, status = entry.record, entry.status
        row: dict[str, Json] = {
            "run_id": record.run_id,
            "status": status,
            "pipeline": record.pipeline,
            "question": entry.question,
            "started_at": record.created_at,
            "simulated": entry.simulated,
        }
        known = status == "damaged" or (record.run_id, record.updated_at) in self._figures
        if not known and time.monotonic() > until:
            return row | {"waits": True}
        figures = None if status == "damaged" else await self._figured(record, status)
        if figures is None:
            return row | {"status": "damaged"}
        cost = figures.cost_usd
        return row | {
            "seconds": figures.seconds,
            "cost_usd": None if cost is None else float(cost),
            "resumed": figures.resumed,
        }

    async def _figured(self, record: RunRecord, status: str) -> _Figures | None:
        """Return the figures of a run; None if it is damaged or was just deleted."""
        key = record.run_id, record.updated_at
        if status not in ACTIVE and key in self._figures:
            return self._figures[key]
        try:
            if status in ACTIVE:
                return _figures(await self._followed.trace(record.run_id))
            figures = _figures(traced(record, (await self._journal.events(record.run_id)).events))
        except (JournalError, RunNotFound):
            figures = None
        self._figures[key] = figures
        return figures


def _figures(trace: Trace) -> _Figures:
    return _Figures(trace.seconds, trace.cost_usd, trace.resumed)


def _entry(record: RunRecord) -> _Entry:
    try:
        question, simulated = question_of(record), was_simulated(record)
    except JournalError:
        record = replace(record, damaged=True)
        question, simulated = record.title, False
    shown = " ".join(question.split())
    kept = replace(record, spec="")
    return _Entry(kept, shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…", simulated, question.casefold())
