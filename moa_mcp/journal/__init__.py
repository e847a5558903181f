"""The journal: stores runs and their events.

An event is stored before money is spent on it: when `keep` returns, its event is durable. A lease gives each run one
owner at a time. Writes of other processes are rejected.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from msgspec import Struct, field

from moa_mcp.events import Event
from moa_mcp.journal.news import News, NewsKind
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.values import Status


class RunRecord(Struct, frozen=True):
    """The stored state of a run."""

    run_id: str
    pipeline: str
    spec: str
    """Everything that determines the run, as JSON. A resume uses this and not the current configuration."""
    status: Status
    title: str
    """The beginning of the question; empty if texts are not stored."""
    created_at: float
    """Seconds since the epoch."""
    updated_at: float
    owned: bool = False
    """Whether a live process owns it."""
    damaged: bool = False
    """Whether its record is corrupt, so that only its ID is valid."""
    caller: str = ""
    """The name of the caller whose run it is; empty if it is the local user's or the operator's."""
    batch: str = ""
    """The batch that it belongs to; empty for none."""
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    """By hash: texts that `spec` refers to, which are stored once. Only `Journal.record` returns them."""

    @property
    def is_active(self) -> bool:
        """Whether it is queued, or a live process executes it."""
        return self.status == "queued" or (self.status == "running" and self.owned)


class Page(NamedTuple):
    """The events of a run after a mark, and the state of the run at the same moment."""

    events: tuple[Event, ...]
    mark: int
    """Position after these events: the `after` of the next page. 0 is the start of the run. Only its order counts."""
    record: RunRecord
    """If this run has ended and no event came after the mark, all its events are known."""


class Claim(NamedTuple):
    """A run that this process owns from now on."""

    record: RunRecord
    began: bool
    """Whether it was ever executed; False for a queued run that was never executed."""
    before: Status
    """Its status before the claim: one that was just cancelled may be of no use to a worker."""


class Journal(Protocol):
    """Stores runs and their events.

    A run has one owner at most: a process that executes it and renews its lease. Only the owner can write its events
    and its end. All times are seconds since the epoch.
    """

    @property
    def keeps_texts(self) -> bool:
        """Whether questions, prompts and answers are stored, and not only their hashes."""
        ...

    @property
    def unwritten_s(self) -> float:
        """Seconds since writes fail that are retried, such as those of events; 0 if there are none."""
        ...

    async def open(self) -> None:
        """Open the store and upgrade it if necessary. The other methods do so if they are called first.

        Raises:
            JournalError: it can't be used; describes why and how to fix it.

        """
        ...

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        """Store a new run with its texts: owned by this process, or `queued` for the first process that claims it.

        Returns False and changes nothing if there is a run with that ID already, whichever process began it. Only when
        this returns True is the run recorded; its ID must not be used before.

        With `max_runs`, the caller of the run has at most that number of active ones, this one among them, whichever
        processes begin or claim runs at the same time.

        Raises:
            TooManyRuns: the caller has as many; nothing was stored.
            JournalError: the run can't be written.

        """
        ...

    async def keep(self, run_id: str, event: Event) -> None:
        """Store an event. When this returns or is cancelled, the event is durable.

        Raises:
            LeaseLost: this process does not own the run any longer.
            JournalError: the event can't be written.

        """
        ...

    def append(self, run_id: str, event: Event) -> None:
        """Store an event soon, in order with those of `keep`."""
        ...

    async def finish(self, run_id: str, status: Status) -> None:
        """Store the final status of a run and all its events, and release it."""
        ...

    async def claim(self, run_id: str, *, max_runs: int | None = None) -> Claim | None:
        """Become the owner of a run; its status is then `running`. None if it is unknown, complete or has a live owner.

        If the lease leaves open whether its owner lives, this waits for a heartbeat of it: an expired lease proves
        nothing, since the clock may have changed, or the machine may have been suspended. A caller that is cancelled
        either gets its claim, at once, or has not claimed the run. `max_runs` is as for `begin`.
        """
        ...

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        """Extend the leases of this process; return the runs that it still owns."""
        ...

    async def release(self, run_id: str, *, requeue: bool = False) -> None:
        """Release an unfinished run that this process owns, so that another process can resume it at once.

        With `requeue`, it is queued again. Otherwise its status stays `running`, without an owner: it is interrupted.
        """
        ...

    async def redefine(self, run_id: str, spec: str) -> None:
        """Replace everything that determines an unfinished run, if this process owns it."""
        ...

    async def free_dead(self) -> frozenset[str]:
        """Release the runs whose owners are dead, and return their IDs. It waits for heartbeats as `claim` does.

        Runs that were queued once are queued again, in the same transaction.
        """
        ...

    async def cancel(self, run_id: str) -> bool:
        """Mark a queued or running run as cancelled, in whichever process it is active. Return whether it was one."""
        ...

    async def record(self, run_id: str) -> RunRecord | None:
        """Return the record of a run, with its texts; None if it is not known."""
        ...

    async def records(
        self,
        *,
        statuses: Collection[Status] | None = None,
        caller: str | None = None,
        batch: str | None = None,
        before: str | None = None,
        changed_since: float = 0.0,
        limit: int = 1000,
    ) -> tuple[RunRecord, ...]:
        """Return the stored runs that match, newest first, `limit` at most.

        Args:
            statuses: Only runs with one of these statuses; None for any.
            caller: Only runs of this caller, an empty text for those without one; None for any.
            batch: Only runs of this batch, an empty text for none; None for any.
            before: Only runs older than the one with this ID: the last one of the page before.
            changed_since: Only runs that began, ended or were claimed since this time. The loss of an owner is no such
                change.
            limit: Maximum number of runs.

        Raises:
            RunNotFound: `before` is not recorded.

        """
        ...

    async def events(self, run_id: str, after: int = 0) -> Page:
        """Return the events of a run after a mark, in order, with the state of the run at that moment.

        A mark is 0, the start of the run, or that of an earlier page. It costs what is new.

        Raises:
            RunNotFound: the run is not recorded.
            JournalDamaged: its record or its events are corrupt.

        """
        ...

    def news(self, *kinds: NewsKind, run_id: str = "") -> AbstractAsyncContextManager[AsyncIterator[News]]:
        """Return the news from entering on, of all processes: of these kinds and of this run, or of all.

        News may be lost or late. `missed`, which comes whatever was asked for, says that some may have been. To wait
        for a change, enter this, then look at the journal, then await news.
        """
        ...

    def tell(self, news: News) -> None:
        """Send news to all processes, or as far as the store can; they may be lost. Returns at once, never raises."""
        ...

    async def commit_spending(self, wanted: Commitment) -> Committed:
        """Set the committed amount of a run on a day. Safe across processes.

        An amount that grows is not accepted if all runs, or those of its caller, would then exceed their cap of the
        day; it then stays as it is.

        There is a line for each cap. An amount in turn that is not accepted gets a place in the line of the cap that
        does not allow it, and no other amount is accepted in turn under that cap before it. The place ends with the
        next accepted amount of the run, such as 0, or when the run has no owner any longer or another one.
        """
        ...

    def alone(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Yield whether this process alone has entered this with that name; it leaves with the block, or when it ends.

        Raises:
            JournalError: the store can't be reached or written.

        """
        ...

    async def spending(self, day: str, caller: str | None = None) -> int:
        """Return what all runs, or those of a caller, have committed on a day, in nanodollars; deleted runs count."""
        ...

    async def held(self, day: str, *, caller: str | None = None, dead: bool = False) -> Mapping[str, int]:
        """Return the unspent part of the committed amount on a day, for each run with a live owner.

        With a `caller`, only for the runs of that caller. With `dead`, for each other run whose process died before it
        could release it, except runs that a queue offers again.
        """
        ...

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        """Delete inactive runs and return their number.

        Deletes runs that were last changed before `older_than` (seconds since the epoch), then the oldest ones while
        the journal is larger than `beyond_bytes`. It works in small batches, so that other writes do not wait. With
        `dry`, nothing is deleted; the number for a size is approximate.
        """
        ...

    async def close(self) -> None:
        """Write all pending events and close the journal."""
        ...
