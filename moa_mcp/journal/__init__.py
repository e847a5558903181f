"""Where runs are kept. A journal holds each run's events; what a reader sees is made of them."""

from __future__ import annotations

from typing import Protocol

from moa_mcp.events import Event


class Journal(Protocol):
    """Keeps the events of runs."""

    def append(self, run_id: str, event: Event) -> None:
        """Keep what happened next in a run."""
        ...

    def events(self, run_id: str) -> tuple[Event, ...] | None:
        """Return what happened in a run so far; None if it is not known here."""
        ...

    def run_ids(self) -> tuple[str, ...]:
        """Return the runs that are kept, the newest first."""
        ...
