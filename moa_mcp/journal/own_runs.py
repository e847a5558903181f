"""The runs that a process owns. From several on, a transaction waits for more events, which costs less CPU time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Own = TypeVar("Own")
_MANY = 8
"""Number of runs from which a transaction waits."""


class OwnRuns(dict[str, Own]):
    """What writes the events of each run that this process owns, by ID. Each event looks it up, so it is a `dict`."""

    def __init__(self, wait: Callable[[bool], None]) -> None:
        """`wait` is called with whether transactions should wait for more events."""
        super().__init__()
        self._wait = wait

    def add(self, run_id: str, own: Own) -> None:
        """Add a run, or replace what writes its events."""
        self[run_id] = own
        self._wait(len(self) >= _MANY)

    def drop(self, run_id: str) -> Own | None:
        """Remove a run, and return what wrote its events; None if it is not there."""
        own = self.pop(run_id, None)
        self._wait(len(self) >= _MANY)
        return own
