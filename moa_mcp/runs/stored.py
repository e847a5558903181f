"""The recorded runs of a journal: their orders, events and traces.

A run whose texts the journal does not keep is read from memory, in the process that started it.
"""

from __future__ import annotations

from moa_mcp.errors import RunNotFound, RunNotResumable
from moa_mcp.events import Event
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.runs.kept import Kept
from moa_mcp.runs.order import Order, ordered, traced
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Status

_ENDED: frozenset[Status] = frozenset({"complete", "degraded"})


class StoredRuns:
    """Reads recorded runs. Every method raises `RunNotFound` for an id that is not recorded."""

    def __init__(self, journal: Journal, kept: Kept, *, simulated: bool) -> None:
        self.journal = journal
        self._kept = kept
        self._simulated = simulated

    async def record(self, run_id: str) -> RunRecord:
        """Return the record of a run."""
        record = await self.journal.record(run_id)
        if record is None:
            raise RunNotFound(run_id)
        return record

    async def order(self, run_id: str) -> Order:
        """Return the order of a run that can be resumed or forked here. Raises `RunNotResumable` if it can't."""
        record = await self.record(run_id)
        return self._kept.order(run_id) or ordered(record, simulated=self._simulated)

    async def events(self, run_id: str) -> tuple[Event, ...]:
        """Return the events of a run."""
        kept = self._kept.events(run_id)
        return await self.journal.events(run_id) if kept is None else kept

    async def trace(self, run_id: str) -> Trace:
        """Return the trace of a run that is not active in this process."""
        record = await self.record(run_id)
        return traced(record, await self.events(run_id))

    async def check_free(self, run_id: str) -> None:
        """Raise `RunNotResumable` if a run is complete, or if another process owns it."""
        if not await self.journal.is_free(run_id):
            raise held(await self.record(run_id))


def held(record: RunRecord) -> RunNotResumable:
    """Return why a recorded run can't be resumed."""
    if record.status in _ENDED:
        return RunNotResumable(f"run {record.run_id} is {record.status}; there is nothing to resume")
    return RunNotResumable(f"run {record.run_id} is driven by another process; wait for it, or cancel it")
