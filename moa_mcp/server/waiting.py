"""Waiting for a run on behalf of a request: progress while it goes on, and who may end it.

A client that loses patience keeps its run, a user who aborts ends it. On the wire both are the cancellation of a
request; what tells them apart is the reason that clients give.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.dispatcher import as_request_id, coerce_request_id
from mcp_types import RequestId

from moa_mcp.runs import Run
from moa_mcp.server.results import progress
from moa_mcp.trace.trace import Trace

BEAT_S = 5.0
"""Seconds between signs of life."""
_FIRST = 0.1
"""What the first report on a run says, in calls."""
REASON_S = 0.25
"""Seconds in which the reason of a cancellation can be expected to arrive."""

Context = ServerRequestContext[Any, Any]


async def follow(run: Run, context: Context, wait_s: float, calls: int) -> None:
    """Report a run's progress until it ends or `wait_s` seconds are over. It is expected to make so many `calls`."""
    began = time.monotonic()
    reported = 0.0

    async def report(reached: float) -> None:
        message = f"{progress(run.trace)}, {time.monotonic() - began:.0f} s (run {run.run_id})"
        await context.session.report_progress(reached, max(float(calls), reached), message)

    with anyio.move_on_after(wait_s):
        while not run.ended.is_set():
            done = _done(run.trace)
            # It must grow with every report, so beats between two calls go part of the way to the next.
            reported = float(done) if done > reported else reported + (done + 1 - reported) / 10
            await report(reported)
            await _next_news(run, done)
    end = float(max(calls, _done(run.trace)))
    if run.trace.answer is not None and reported < end:
        await report(end)


async def beat(context: Context, message: str) -> None:
    """Report signs of life until cancelled, each a part of the way to the first that `follow` reports."""
    reported = 0.0
    while True:
        reported += (_FIRST - reported) / 10
        await context.session.report_progress(reported, message=message)
        await anyio.sleep(BEAT_S)


async def _next_news(run: Run, done: int) -> None:
    """Return when another call has ended, the run has, or a beat is over."""
    with anyio.move_on_after(BEAT_S):
        while not run.ended.is_set() and _done(run.trace) == done:
            await run.changed()


def _done(trace: Trace) -> int:
    return sum(step.answered + step.failed for step in trace.steps)


@dataclass(slots=True, eq=False)
class _Waiter:
    """A request that waits for a run, and what its client said when it stopped waiting."""

    told: anyio.Event = field(default_factory=anyio.Event)
    timed_out: bool = False


class CancellationPolicy:
    """Ends the run of a request that a user aborted; keeps the run of one whose client ran out of time."""

    def __init__(self) -> None:
        self._waiters: dict[Hashable, _Waiter] = {}

    async def watch(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: look at the reasons of cancellations, which have no other handler.

        One that names no request here is ignored: it may have been answered meanwhile, or the name may be none.
        """
        if ctx.method != "notifications/cancelled":
            return await call_next(ctx)
        params = ctx.params or {}
        request_id = as_request_id(params.get("requestId"))
        waiter = None if request_id is None else self._waiters.get(_key(ctx, request_id))
        if waiter is not None:
            reason = str(params.get("reason") or "").lower()
            waiter.timed_out = "timed out" in reason or "timeout" in reason
            waiter.told.set()
        return None

    @asynccontextmanager
    async def waits(self, context: Context, run: Run) -> AsyncGenerator[None]:
        """Cancel the run if somebody cancels the request inside, for any reason but a client's timeout.

        A client that is gone without a word, as one over stdio whose host quits, has asked for nothing.
        """
        key = _key(context, context.request_id)
        waiter = self._waiters[key] = _Waiter()
        try:
            yield
        except anyio.get_cancelled_exc_class():
            # The SDK cancels a request before it shows the notification that asked for it.
            with anyio.move_on_after(REASON_S, shield=True):
                await waiter.told.wait()
            if (waiter.told.is_set() or _ends_with_its_connection(context)) and not waiter.timed_out:
                run.cancel()
            raise
        finally:
            if self._waiters.get(key) is waiter:  # a client may have given its id to another request, too
                del self._waiters[key]


def _ends_with_its_connection(context: Context) -> bool:
    """Whether closing its connection is how a request is cancelled, as over HTTP since 2026-07-28: no session is there.

    A notification can't name such a request.
    """
    return context.request is not None and _session(context) is None


def _session(context: Context) -> str | None:
    request = context.request
    if request is None:
        return None
    named: str | None = request.headers.get("mcp-session-id") or request.query_params.get("session_id")
    return named


def _key(context: Context, request_id: RequestId | None) -> Hashable:
    """Return what names a request: ids are unique within a session, and stdio is one. To the SDK, "7" and 7 are one."""
    if _ends_with_its_connection(context):
        return id(context.request)
    return _session(context), None if request_id is None else coerce_request_id(request_id)
