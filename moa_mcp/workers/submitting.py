"""Executes the runs of a server by putting them into the queue, and follows them there."""

from __future__ import annotations

import dataclasses
import logging
import os

import anyio
from msgspec.structs import replace

from moa_mcp import telemetry
from moa_mcp.errors import JournalError
from moa_mcp.events import Emit
from moa_mcp.runs import Run
from moa_mcp.runs.admission import Work
from moa_mcp.runs.executor import Executor
from moa_mcp.runs.record import StartPoint, record_of
from moa_mcp.workers.following import Follower

_log = logging.getLogger(__name__)


class Submitting(Executor):
    """Has workers execute the runs. If this process ends, they go on; cancelling a run here cancels it there."""

    is_local = False

    async def record(self, work: Work, *, queued: bool = True, max_runs: int | None = None) -> bool:
        """Record a new run and put it into the queue; return whether its ID was not known. Raises as `Journal.begin`.

        A fork has events already, which are stored before it is queued.
        """
        work = _in_trace(work)
        if work.start.checkpoint is None:
            return await super().record(work, queued=queued, max_runs=max_runs)
        begun = False
        with anyio.CancelScope(shield=True):
            begun = await super().record(work, max_runs=max_runs)
            if begun:
                await self._requeue(work, work.start)
        return begun

    async def run(self, run: Run, work: Work, start: StartPoint, watch: Emit | None, traceparent: str = "") -> None:
        """Follow a run until it has ended or its scope is cancelled. One that was claimed is queued first."""
        del traceparent
        run.followed = True
        run.trace.status = "queued"
        steps = len(work.stored.spec.pipeline.steps)
        try:
            await self._requeue(_in_trace(work), replace(start, events=()))
            await Follower(self._journal, run, steps, watch, len(start.history)).follow()
        except JournalError as error:
            _log.warning("%s", error)

    async def _requeue(self, work: Work, start: StartPoint) -> None:
        """Put a run of this process into the queue, with the budget that it has now. No effect on other runs."""
        run_id = work.stored.spec.run_id
        for event in start.events:
            self._journal.append(run_id, event)
        await self._journal.redefine(run_id, record_of(work.stored, texts=True).spec)
        await self._journal.release(run_id, requeue=True)


def _in_trace(work: Work) -> Work:
    """Return a run with the trace context of the request that submits it."""
    return work._replace(stored=dataclasses.replace(work.stored, traceparent=telemetry.traceparent(os.environ)))
