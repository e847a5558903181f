"""Runs whose texts the journal does not keep: the process that began them goes on with them, and no other can."""

from __future__ import annotations

from dataclasses import dataclass, field

from moa_mcp.events import Emit, Event, TextReceived, tee
from moa_mcp.runs.record import StoredRun

_MOST = 64


@dataclass(slots=True)
class _Own:
    stored: StoredRun
    events: list[Event] = field(default_factory=list[Event])

    def add(self, event: Event) -> None:
        if not isinstance(event, TextReceived):  # the whole text comes with the end of its call
            self.events.append(event)


class InMemoryRuns:
    """The newest runs of a process in full, in memory."""

    def __init__(self) -> None:
        self._runs: dict[str, _Own] = {}

    def begin(self, stored: StoredRun, watch: Emit | None) -> Emit:
        """Keep a run that begins or goes on; return what is to be told of it, for the one who watches, too."""
        own = self._runs.pop(stored.spec.run_id, None) or _Own(stored)
        own.stored = stored
        self._runs[stored.spec.run_id] = own
        for oldest in list(self._runs)[:-_MOST]:
            del self._runs[oldest]
        return tee(own.add, *((watch,) if watch else ()))

    def get(self, run_id: str) -> StoredRun | None:
        """Return how a run was asked for; None if it is not kept."""
        own = self._runs.get(run_id)
        return None if own is None else own.stored

    def events(self, run_id: str) -> tuple[Event, ...] | None:
        """Return what happened in a run; None if it is not kept."""
        own = self._runs.get(run_id)
        return None if own is None else tuple(own.events)
