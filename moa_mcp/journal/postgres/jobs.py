"""What waits to be written to PostgreSQL: one job for each call of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from moa_mcp.errors import LeaseLost
from moa_mcp.journal import RunRecord
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.values import Status


class TakenOver(LeaseLost):
    """The run has another owner now, or was cancelled."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is owned by another process now, or was cancelled")


@dataclass(slots=True, eq=False)
class Waiting:
    """The caller that waits for a job, and the job's failure."""

    done: asyncio.Future[None] | None = field(default=None, kw_only=True)
    """In the caller's event loop; None if no caller waits."""
    error: Exception | None = field(default=None, kw_only=True)
    late_at: float = field(default=0.0, kw_only=True)
    """When a failure is no longer retried, by the monotonic clock."""


@dataclass(slots=True, eq=False)
class Beginning(Waiting):
    """Store a new run."""

    record: RunRecord
    token: str
    queued: bool
    max_runs: int | None = None
    """The most active runs of its caller, this one among them; None for any number."""
    begun: bool = False


@dataclass(slots=True, eq=False)
class Line(Waiting):
    """Store an event of a run that has this owner."""

    run_id: str
    owner: str
    number: int
    body: str
    texts: Mapping[str, str]
    """By hash."""


@dataclass(slots=True, eq=False)
class Renewal(Waiting):
    """Extend leases, by run; `renewed` are those that still have these owners."""

    owners: dict[str, str]
    renewed: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class RunEnding(Waiting):
    """Release a run; with a status, it has ended."""

    run_id: str
    owner: str
    status: Status | None
    requeue: bool = False


@dataclass(slots=True, eq=False)
class Spending(Waiting):
    """Set what a run has committed on a day."""

    wanted: Commitment
    owner: str | None = None
    """The owner of the run, if it is this process."""
    committed: Committed | None = None


Job: TypeAlias = Beginning | Line | Renewal | RunEnding | Spending
