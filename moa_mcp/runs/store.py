"""Reads recorded runs: definition, events, trace.

If the journal stores no texts, a run is read from memory, in the process that started it.
"""

from __future__ import annotations

from dataclasses import replace

from moa_mcp.errors import RunActive, RunNotFound, RunNotResumable
from moa_mcp.journal import Journal, Page, RunRecord
from moa_mcp.runs.in_memory import InMemoryRuns
from moa_mcp.runs.record import StoredRun, check_simulated, question_of, stored_run, traced
from moa_mcp.steps.prompts import user_text
from moa_mcp.trace.trace import Trace
from moa_mcp.values import ACTIVE, COMPLETE, Message, Question


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
        return self._in_memory.get(run_id) or stored_run(record, simulated=self._simulated)

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

    async def following(self, run_id: str, question: Question) -> Question:
        """Return a question with the turns of the run that it follows, and with the system prompt of that run.

        A system prompt of its own replaces that one. Without a run, the question is returned as it is.

        Raises:
            RunNotResumable: the run has no answer, or its texts can't be read here.

        """
        if not run_id:
            return question
        page = await self.events(run_id)
        record = page.record
        if record.status not in COMPLETE:
            raise RunNotResumable(f"run {run_id} {_without_answer(record)}")
        if self._in_memory.get(run_id) is None and not question_of(record):
            raise RunNotResumable(
                f'no question can follow run {run_id}: its question and answer are not stored (record = "hashes")'
            )
        check_simulated(record, simulated=self._simulated)
        earlier = traced(record, page.events)
        system, turns = question.system or earlier.question.system, (*turns_of(earlier), *question.turns)
        return replace(question, system=system, turns=turns)


def turns_of(earlier: Trace) -> tuple[Message, ...]:
    """Return the turns before a question that follows a run: those before it, its question and its answer."""
    asked = earlier.question
    return (
        *asked.turns,
        Message("user", user_text(asked), asked.images),
        Message("assistant", earlier.answer or ""),
    )


def _without_answer(record: RunRecord) -> str:
    """Return why no question can follow a run, and what can be done."""
    if record.status not in ACTIVE:
        return f"is {record.status} and has no answer; resume or fork it, and continue the run that then has one"
    if record.status == "running" and not record.owned:
        return "is interrupted and has no answer yet; resume it first"
    return f"is {record.status} and has no answer yet; wait for it first"


def not_resumable(record: RunRecord) -> RunNotResumable:
    """Return why a recorded run can't be resumed."""
    if record.status in COMPLETE:
        return RunNotResumable(f"run {record.run_id} is {record.status}; there is nothing to resume")
    return RunActive(record.run_id)
