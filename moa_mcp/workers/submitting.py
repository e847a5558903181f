"""Executes the runs of a server by putting them into the queue, and follows them there."""

from __future__ import annotations

import logging
from dataclasses import replace

import anyio

from moa_mcp.errors import JournalError
from moa_mcp.events import Emit
from moa_mcp.runs import Run
from moa_mcp.runs.admission import Work
from moa_mcp.runs.executor import Executor
from moa_mcp.runs.record import StartPoint
from moa_mcp.workers.following import Follower

_log = logging.getLogger(__name__)


class Submitting(Executor):
    """Has workers execute the runs. If this process ends, they go on; cancelling a run here cancels it there."""

    async def record(self, work: Work, *, queued: bool = True) -> bool:
        """Record a new run and put it into the queue; return whether its ID was not known. Raises `JournalError`.

        A fork has events already, which are stored before it is queued.
        """
        if work.start.checkpoint is None:
            return await super().record(work, queued=queued)
        begun = False
        with anyio.CancelScope(shield=True):
            begun = await super().record(work)
            if begun:
                await self._requeue(work.stored.spec.run_id, work.start)
        return begun

    async def run(self, run: Run, work: Work, start: StartPoint, watch: Emit | None, traceparent: str = "") -> None:
        """Follow a run until it has ended or its scope is cancelled. A resumed one is put into the queue first."""
        del traceparent
        run.followed = True
        run.trace.status = "queued"
        steps = len(work.stored.spec.pipeline.steps)
        try:
            if not start.new:
                await self._requeue(run.run_id, replace(start, events=()))
            await Follower(self._journal, run, steps, watch, len(start.history)).follow()
        except JournalError as error:
            _log.warning("%s", error)

    async def _requeue(self, run_id: str, start: StartPoint) -> None:
        for event in start.events:
            self._journal.append(run_id, event)
        await self._journal.release(run_id, requeue=True)
