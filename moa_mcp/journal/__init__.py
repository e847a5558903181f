"""Where runs are kept: the ledger of runs, and the events of each.

A journal is durable before money is spent: what `keep` returns from is on record. A run has one owner at a time, by a
lease; what another process than the owner wants to write is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from moa_mcp.events import Event
from moa_mcp.values import Status


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the ledger knows it."""

    run_id: str
    pipeline: str
    spec: str
    """All that decides the run, as JSON: resume uses this, never today's configuration."""
    status: Status
    title: str
    """How its question begins; empty where questions are not kept."""
    created_at: float
    """Seconds since the epoch."""
    updated_at: float
    owned: bool = False
    """Whether a living process drives it."""
    damaged: bool = False
    """Whether it makes no sense, and nothing but its id is told."""


_SPENDING_DAYS = 35


def oldest_day() -> str:
    """Return the first day whose spending is kept, whatever is forgotten: what was spent today bounds what may be."""
    return (datetime.now(UTC).date() - timedelta(days=_SPENDING_DAYS)).isoformat()


class Journal(Protocol):
    """Keeps runs and their events."""

    @property
    def keeps_texts(self) -> bool:
        """Whether questions, prompts and answers are kept, and not their hashes only."""
        ...

    async def begin(self, record: RunRecord) -> None:
        """Put a new run on record, owned by this process."""
        ...

    async def keep(self, run_id: str, event: Event) -> None:
        """Put an event on record; when this returns, or is cancelled, it is.

        Raises:
            LeaseLost: the run is not this process's any more.
            JournalError: it can't be written.

        """
        ...

    def append(self, run_id: str, event: Event) -> None:
        """Put an event on record soon, in order with those that are kept."""
        ...

    async def finish(self, run_id: str, status: Status) -> None:
        """Record how a run ended, with all its events, and give it up."""
        ...

    async def is_free(self, run_id: str) -> bool:
        """Whether no living process drives a run; where clocks and leases leave that open, wait for a sign of life.

        A lease that ran out proves nothing by itself: the clock may have been set, or the machine have slept.
        """
        ...

    async def claim(self, run_id: str) -> bool:
        """Become the owner of a run that is not complete and that no living process drives."""
        ...

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        """Prolong the leases of own runs; return those that are still this process's."""
        ...

    async def release(self, run_id: str) -> None:
        """Give a run up unfinished, for anybody to resume at once."""
        ...

    async def cancel(self, run_id: str) -> bool:
        """Record that somebody asked for an unfinished run to end, wherever it runs."""
        ...

    async def record(self, run_id: str) -> RunRecord | None:
        """Return a run's record; None if it is not known."""
        ...

    async def records(self, *, limit: int = 1000) -> tuple[RunRecord, ...]:
        """Return the runs on record, the newest first."""
        ...

    async def events(self, run_id: str) -> tuple[Event, ...]:
        """Return what happened in a run, in order."""
        ...

    async def commit_spending(self, run_id: str, day: str, nanodollars: int, cap: int | None, held: int = 0) -> bool:
        """Set what a run has committed on a day (ISO date, UTC): spent, in flight and reserved.

        What is `held` of it is not spent, or not yet. It is refused, and nothing changes, if it grows and the sum over
        all runs of that day would pass the cap. Any number of processes may do so at once.
        """
        ...

    async def spending(self, day: str) -> int:
        """Return what all runs have committed on a day, in nanodollars, those forgotten since included."""
        ...

    async def held(self, day: str) -> Mapping[str, int]:
        """Return what each run that a living process drives holds of what it has committed on a day."""
        ...

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        """Delete runs that nobody drives, and return how many.

        Those last touched before a time (seconds since the epoch), and the oldest while the journal is larger than a
        size in bytes; a few at a time, so that nobody waits for it. With `dry`, nothing is deleted: it returns how many
        would be, for a size about how many.
        """
        ...

    async def close(self) -> None:
        """Write what is still to be written."""
        ...
