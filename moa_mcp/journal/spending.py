"""What runs commit of the budgets of a day: all that they have spent, hold for calls in flight, and reserve."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_SPENDING_DAYS = 35


class Commitment(NamedTuple):
    """The amount that a run is to have committed on a day, in nanodollars."""

    run_id: str
    nanodollars: int
    cap: int | None = None
    """The most that all runs may commit on that day; None for any amount."""
    held: int = 0
    """The part that is not spent yet."""
    day: str | None = None
    """ISO date, UTC; None for today by the clock of the store."""
    caller_cap: int | None = None
    """The most that the runs of its caller may commit on that day; None for any amount."""
    in_turn: bool = False
    """Whether it gets a place in line if it is not accepted, and is not accepted before those with a place."""


class Committed(NamedTuple):
    """What a commitment led to."""

    accepted: bool
    day: str
    """The day that it counts for: ISO date, UTC, by the clock of the store."""
    total: int
    """Nanodollars that all runs have committed on that day."""
    held: int
    """The part of it that is not spent yet and that other runs with a live owner hold."""
    spent: int = 0
    """What the run itself had spent on that day by the commitment before."""
    by_caller: bool = False
    """Whether the cap of the caller does not allow it. Then `total` and `held` are those of the caller's runs."""


def oldest_day() -> str:
    """Return the first day whose spending is stored; daily budgets need it even if runs are deleted."""
    return (datetime.now(UTC).date() - timedelta(days=_SPENDING_DAYS)).isoformat()
