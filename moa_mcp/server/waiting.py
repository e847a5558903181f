"""Waits for a run on behalf of a request, reports its progress, and cancels it if the user aborts.

A timeout of the client must not end the run. The protocol has the same notification for both, so the reason in its text
decides.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.dispatcher import as_request_id, coerce_request_id
from mcp_types import RequestId
from msgspec import Struct, field

from moa_mcp.runs import Run
from moa_mcp.server.results import progress
from moa_mcp.trace.trace import Trace

BEAT_S = 5.0
"""Seconds between two progress reports."""
_FIRST = 0.1
"""The progress in the first report of a run, in calls."""
REASON_S = 0.25
"""Seconds to wait for the reason of a cancellation."""

Context = ServerRequestContext[Any, Any]


async def follow(run: Run, context: Context, wait_s: float, calls: int) -> None:
    """Report a run's progress until it ends or `wait_s` seconds are over. `calls` is its expected number of calls."""
    began = time.monotonic()
    reported = 0.0

    async def report(reached: float) -> None:
        message = f"{progress(run.trace)}, {time.monotonic() - began:.0f} s (run {run.run_id})"
        await context.session.report_progress(reached, max(float(calls), reached), message)

    with anyio.move_on_after(wait_s):
        while not run.ended.is_set():
            done = _done(run.trace)
            # Progress must increase with every report, so reports between two calls add a fraction.
            reported = float(done) if done > reported else reported + (done + 1 - reported) / 10
            await report(reported)
            await _next_change(run, done)
    end = float(max(calls, _done(run.trace)))
    if run.trace.answer is not None and reported < end:
        await report(end)


async def beat(context: Context, message: str) -> None:
    """Report progress until cancelled, with values below the first one of `follow`."""
    reported = 0.0
    while True:
        reported += (_FIRST - reported) / 10
        await context.session.report_progress(reported, message=message)
        await anyio.sleep(BEAT_S)


async def _next_change(run: Run, done: int) -> None:
    """Wait until another call or the run ends, or the next report is due."""
    with anyio.move_on_after(BEAT_S):
        while not run.ended.is_set() and _done(run.trace) == done:
            await run.changed()


def _done(trace: Trace) -> int:
    return sum(step.answered + step.failed for step in trace.steps)


class _Waiter(Struct, eq=False):
    """A request that waits for a run, and whether and why its client has cancelled it."""

    cancelled: anyio.Event = field(default_factory=anyio.Event)
    timed_out: bool = False


class CancellationPolicy:
    """Cancels the run of a request that a user aborted. The run continues after a timeout of the client."""

    def __init__(self) -> None:
        self._waiters: dict[Hashable, _Waiter] = {}

    async def watch(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: read the reasons of cancellations, which have no other handler.

        Cancellations of other requests are ignored: they may have been answered already, or the id may be invalid.
        """
        if ctx.method != "notifications/cancelled":
            return await call_next(ctx)
        params = ctx.params or {}
        request_id = as_request_id(params.get("requestId"))
        waiter = None if request_id is None else self._waiters.get(_key(ctx, request_id))
        if waiter is not None:
            reason = str(params.get("reason") or "").lower()
            waiter.timed_out = "timed out" in reason or "timeout" in reason
            waiter.cancelled.set()
        return None

    @asynccontextmanager
    async def waits(self, context: Context, cancel: Callable[[], None]) -> AsyncGenerator[None]:
        """Call `cancel` for the run if the request is cancelled in this block, except by a timeout of the client.

        If a client disconnects without a cancellation, such as a host that quits over stdio, the run is not cancelled.
        """
        key = _key(context, context.request_id)
        waiter = self._waiters[key] = _Waiter()
        try:
            yield
        except anyio.get_cancelled_exc_class():
            # The SDK cancels a request before it passes on the notification.
            with anyio.move_on_after(REASON_S, shield=True):
                await waiter.cancelled.wait()
            if (waiter.cancelled.is_set() or _ends_with_its_connection(context)) and not waiter.timed_out:
                cancel()
            raise
        finally:
            if self._waiters.get(key) is waiter:  # a client may have used the id for another request, too
                del self._waiters[key]


def _ends_with_its_connection(context: Context) -> bool:
    """Whether a request is cancelled by closing its connection: over HTTP without a session, since 2026-07-28.

    Notifications can't refer to such a request.
    """
    return context.request is not None and session_of(context) is None


def session_of(context: Context) -> str | None:
    """Return the id of a request's session; None over stdio, which is one session, and over HTTP without sessions."""
    request = context.request
    if request is None:
        return None
    named: str | None = request.headers.get("mcp-session-id") or request.query_params.get("session_id")
    return named


def _key(context: Context, request_id: RequestId | None) -> Hashable:
    """Return a unique key of a request: session and id. stdio is one session. To the SDK, "7" and 7 are the same id."""
    if _ends_with_its_connection(context):
        return id(context.request)
    return session_of(context), None if request_id is None else coerce_request_id(request_id)
