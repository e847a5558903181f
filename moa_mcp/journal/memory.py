"""A journal that lives as long as its process."""

from __future__ import annotations

from moa_mcp.events import Event, RunFinished, TextReceived


class MemoryJournal:
    """Keeps runs in memory; of those that ended, the latest `keep`."""

    def __init__(self, keep: int = 500) -> None:
        self._keep = keep
        self._runs: dict[str, list[Event]] = {}
        self._ended: list[str] = []

    def append(self, run_id: str, event: Event) -> None:
        if isinstance(event, TextReceived):  # the whole text comes with the end of its call
            return
        self._runs.setdefault(run_id, []).append(event)
        if isinstance(event, RunFinished):
            self._ended.append(run_id)
            while len(self._ended) > self._keep:
                del self._runs[self._ended.pop(0)]

    def events(self, run_id: str) -> tuple[Event, ...] | None:
        events = self._runs.get(run_id)
        return None if events is None else tuple(events)

    def run_ids(self) -> tuple[str, ...]:
        return tuple(reversed(self._runs))
