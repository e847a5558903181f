"""A worker: takes runs from the queue, executes them, and takes over those of dead workers."""

from __future__ import annotations

import logging
import os
from functools import partial

import anyio

from moa_mcp import telemetry
from moa_mcp.errors import JournalError, RunActive, RunNotFound, RunNotResumable
from moa_mcp.events import Event, RunFinished, TextReceived
from moa_mcp.journal import Journal
from moa_mcp.journal.delivery import Delivery
from moa_mcp.journal.news import News
from moa_mcp.runs import ConfirmationRequired, Ready, ResumedRun, Run, RunRefused, Runs
from moa_mcp.values import ACTIVE, FailureReason

SWEEP_S = 1.0
"""Seconds between two looks for runs whose owner is dead."""

_log = logging.getLogger(__name__)


class Worker:
    """Executes the runs of a queue, in open `Runs` that put them back when they are stopped."""

    def __init__(self, runs: Runs, queue: Delivery, *, at_once: int, drain_s: float) -> None:
        """Execute `at_once` runs at most. After a stop, they get `drain_s` seconds before they are queued again."""
        self._runs = runs
        self._journal: Journal = runs.journal
        self._queue = queue
        self._at_once = at_once
        self._drain_s = drain_s

    async def work(self, stop: anyio.Event, hurry: anyio.Event) -> None:
        """Execute runs until `stop` is set and they have ended. `hurry` ends the drain."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._sweep)
            tasks.start_soon(self._drain, stop, hurry)
            await self._queue.work(self._take, at_once=self._at_once, stop=stop)
            tasks.cancel_scope.cancel()

    async def _drain(self, stop: anyio.Event, hurry: anyio.Event) -> None:
        await stop.wait()
        with anyio.move_on_after(self._drain_s):
            await hurry.wait()
        self._runs.stop_all()

    async def _sweep(self) -> None:
        """Release the runs of dead workers, and put the messages back that they had taken."""
        while True:
            await anyio.sleep(SWEEP_S)
            try:
                for run_id in await self._journal.free_dead():
                    _log.warning("the worker of run %s died; another one takes it over", run_id)
                await self._queue.revive()
            except JournalError as error:
                _log.info("%s", error)

    async def _take(self, run_id: str) -> anyio.Event | None:
        """Claim and start a run. See `Take`."""
        record = await self._journal.record(run_id)
        if record is None or record.status not in ACTIVE:
            return None
        try:
            admitted = await self._runs.admit(ResumedRun(run_id=run_id, consent="given", unless_ended=True))
            if isinstance(admitted, Ready):
                return (await self._started(admitted)).ended
            await self._fail(run_id, str(admitted), _reason(admitted))
        except (RunNotFound, RunActive) as error:  # if the owner of an active run is dead, it is queued again
            _log.info("%s", error)
        except RunNotResumable as error:
            await self._fail(run_id, str(error), "internal")
        return None

    async def _started(self, ready: Ready) -> Run:
        """Start a run in the trace of the request that submitted it, and stream its text if it has a reader."""
        stored = None if ready.work is None else ready.work.stored
        tell = partial(self._tell_text, ready.run_id) if stored is not None and stored.spec.stream else None
        with telemetry.client_trace(os.environ, {"traceparent": "" if stored is None else stored.traceparent}):
            return await self._runs.start(ready, tell)

    async def _fail(self, run_id: str, error: str, reason: FailureReason) -> None:
        """End a run that can't be executed here, unless it has ended or another worker has it."""
        record = await self._journal.record(run_id)
        if record is None or record.status not in ACTIVE or await self._journal.claim(run_id) is None:
            return
        _log.warning("run %s fails: %s", run_id, error)
        failed = RunFinished(status="failed", answer=None, error=error, seconds=0.0, reason=reason)
        self._journal.append(run_id, failed)
        await self._journal.finish(run_id, "failed")

    def _tell_text(self, run_id: str, event: Event) -> None:
        if isinstance(event, TextReceived):
            self._journal.tell(News("text", run_id, event.text))


def _reason(refused: ConfirmationRequired | RunRefused) -> FailureReason:
    """Return why a run fails. A worker confirms costs, refuses no run while it drains, and starts no new one."""
    if isinstance(refused, ConfirmationRequired) or refused.reason == "draining":
        return "internal"
    return "internal" if refused.reason == "answer_schema" else refused.reason
