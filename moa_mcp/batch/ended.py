"""Starts the run of an item, or continues or follows the recorded one, and returns its trace when it has ended.

`ended` is the only function that knows where runs are executed. The ways of an item:

    not recorded -> start it          interrupted, or without budget -> resume it
    complete, degraded -> read it     failed, cancelled -> read it; with `retry_failed`, resume it once
    active elsewhere, or in the queue of this batch's workers -> follow it
"""

from __future__ import annotations

from collections.abc import Sequence

from moa_mcp.errors import JournalDamaged, JournalError, RunNotResumable
from moa_mcp.events import Event, RunFinished
from moa_mcp.journal import RunRecord
from moa_mcp.runs import ConfirmationRequired, NewRun, ResumedRun, RunRefused, Runs
from moa_mcp.trace.trace import Trace
from moa_mcp.values import ACTIVE, COMPLETE

_CONTINUED = frozenset({"budget", "journal"})
"""Reasons that have nothing to do with the item. The next start continues its run."""


def left_to_run(record: RunRecord, events: Sequence[Event], *, retry_failed: bool) -> bool:
    """Whether the next start of a batch starts or continues a run, or waits for it, instead of reading its result."""
    if record.damaged or record.status in COMPLETE:
        return False
    if record.status not in {"failed", "cancelled"} or retry_failed:
        return True
    last = events[-1] if events else None
    unrecorded = record.status == "failed" and not isinstance(last, RunFinished)  # the journal failed
    return unrecorded or (isinstance(last, RunFinished) and last.reason in _CONTINUED)


def concerns(error: JournalDamaged, run_id: str) -> bool:
    """Whether only that run is damaged, and not the whole journal."""
    return run_id in str(error)


async def ended(runs: Runs, new: NewRun, again: ResumedRun) -> Trace | RunRefused:
    """Return the trace of a run that has ended, or why it can't start: start, resume or follow it until then.

    Raises:
        JournalError: the journal can't be read or written.
        RunNotResumable: it can't be continued in this process.

    """
    tried = False
    while True:
        record = await runs.journal.record(again.run_id)
        if record is None:
            outcome = await _executed(runs, new, again.run_id)
        elif record.owned or (record.status == "queued" and not runs.executes):
            outcome = None
            await runs.inactive(record.run_id)
        elif record.status in COMPLETE or (tried and record.status not in ACTIVE):
            return await runs.trace(record.run_id)
        else:
            outcome = await _executed(runs, again, again.run_id)
        if outcome is not None:
            return outcome
        tried = True


async def _executed(runs: Runs, request: NewRun | ResumedRun, run_id: str) -> Trace | RunRefused | None:
    """Execute a run, here or by workers; None if another process is faster, or takes it over."""
    try:
        admitted = await runs.admit(request)
        if isinstance(admitted, RunRefused):
            return admitted
        run = await runs.start(admitted.confirmed() if isinstance(admitted, ConfirmationRequired) else admitted)
    except RunNotResumable:
        if isinstance(request, ResumedRun) and not await _is_elsewhere(runs, run_id):
            raise
        return None
    await run.ended.wait()
    unrecorded = run.trace.reason == "journal" or (run.trace.status == "failed" and run.trace.error is None)
    if unrecorded and not await _is_elsewhere(runs, run_id):
        raise JournalError(run.trace.error or f"the worker of run {run_id} could not record it")
    return None if run.trace.status in ACTIVE or unrecorded else run.trace


async def _is_elsewhere(runs: Runs, run_id: str) -> bool:
    """Whether another process executes a run, or has completed it."""
    record = await runs.record(run_id)
    return record.owned or record.status in COMPLETE
