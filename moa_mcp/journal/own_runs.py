"""The runs that a process owns. From several on, a transaction waits for more events, which costs less CPU time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

Own = TypeVar("Own")
_MANY = 8
"""Number of runs from which a transaction waits."""


class OwnRuns(Mapping[str, Own]):
    """What writes the events of each run that this process owns, by ID."""

    def __init__(self, wait: Callable[[bool], None]) -> None:
        """`wait` is called with whether transactions should wait for more events."""
        self._runs: dict[str, Own] = {}
        self._wait = wait

    def add(self, run_id: str, own: Own) -> None:
        """Add a run, or replace what writes its events."""
        self._runs[run_id] = own
        self._wait(len(self._runs) >= _MANY)

    def drop(self, run_id: str) -> Own | None:
        """Remove a run, and return what wrote its events; None if it is not there."""
        own = self._runs.pop(run_id, None)
        self._wait(len(self._runs) >= _MANY)
        return own

    def __getitem__(self, run_id: str) -> Own:
        return self._runs[run_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)
