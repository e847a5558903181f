"""Runs in memory, for a journal that stores no texts. Only the process that started such a run can resume it."""

from __future__ import annotations

from msgspec import Struct, field

from moa_mcp.events import PASSING, Emit, Event, tee
from moa_mcp.runs.record import StoredRun

_MOST = 64


class _Own(Struct):
    stored: StoredRun
    events: list[Event] = field(default_factory=list[Event])

    def add(self, event: Event) -> None:
        if not isinstance(event, PASSING):
            self.events.append(event)


class InMemoryRuns:
    """The newest runs of a process, with their texts and events."""

    def __init__(self) -> None:
        self._runs: dict[str, _Own] = {}

    def begin(self, stored: StoredRun, watch: Emit | None) -> Emit:
        """Store a run that starts or resumes. Return the emit for its events, which also calls `watch`."""
        own = self._runs.pop(stored.spec.run_id, None) or _Own(stored)
        own.stored = stored
        self._runs[stored.spec.run_id] = own
        for oldest in list(self._runs)[:-_MOST]:
            del self._runs[oldest]
        return tee(own.add, *((watch,) if watch else ()))

    def get(self, run_id: str) -> StoredRun | None:
        """Return a run; None if it is not in memory."""
        own = self._runs.get(run_id)
        return None if own is None else own.stored

    def events(self, run_id: str, after: int = 0) -> tuple[tuple[Event, ...], int] | None:
        """Return the events of a run after a mark, and the mark after them; None if it is not in memory."""
        own = self._runs.get(run_id)
        return None if own is None else (tuple(own.events[after:]), len(own.events))
