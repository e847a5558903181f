"""Reads recorded runs: definition, events, trace.

If the journal stores no texts, a run is read from memory, in the process that started it.
"""

from __future__ import annotations

from dataclasses import replace

from moa_mcp.errors import RunActive, RunNotFound, RunNotResumable
from moa_mcp.journal import Journal, Page, RunRecord
from moa_mcp.runs.images import attached, references
from moa_mcp.runs.in_memory import InMemoryRuns
from moa_mcp.runs.record import StoredRun, stored_run, traced
from moa_mcp.trace.trace import Trace
from moa_mcp.values import COMPLETE


class RunStore:
    """Reads recorded runs. Every method raises `RunNotFound` for an id that is not recorded."""

    def __init__(self, journal: Journal, in_memory: InMemoryRuns, *, simulated: bool) -> None:
        self.journal = journal
        self._in_memory = in_memory
        self._simulated = simulated

    async def record(self, run_id: str) -> RunRecord:
        """Return the record of a run."""
        record = await self.journal.record(run_id)
        if record is None:
            raise RunNotFound(run_id)
        return record

    async def load(self, run_id: str) -> StoredRun:
        """Return a run that can be resumed or forked here. Raises `RunNotResumable` if it can't."""
        record = await self.record(run_id)
        own = self._in_memory.get(run_id)
        return own or await self._with_images(stored_run(record, simulated=self._simulated))

    async def _with_images(self, stored: StoredRun) -> StoredRun:
        question = stored.spec.question
        if not (digests := references(question)):
            return stored
        texts = await self.journal.texts(stored.spec.run_id, digests)
        return replace(stored, spec=replace(stored.spec, question=attached(question, texts)))

    async def events(self, run_id: str, after: int = 0) -> Page:
        """Return the events of a run after a mark, as a journal does."""
        if self._in_memory.get(run_id) is None:
            return await self.journal.events(run_id, after)
        record = await self.record(run_id)  # before the events: those of a run that ended are complete
        in_memory = self._in_memory.events(run_id, after)
        return await self.journal.events(run_id, after) if in_memory is None else Page(*in_memory, record)

    async def trace(self, run_id: str) -> Trace:
        """Return the trace of a run that is not active in this process."""
        page = await self.events(run_id)
        return traced(page.record, page.events)


def not_resumable(record: RunRecord) -> RunNotResumable:
    """Return why a recorded run can't be resumed."""
    if record.status in COMPLETE:
        return RunNotResumable(f"run {record.run_id} is {record.status}; there is nothing to resume")
    return RunActive(record.run_id)
