"""Retries calls with backoff, using tenacity."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

import anyio

from moa_mcp.errors import CallError
from moa_mcp.events import CallWaits, Emit
from moa_mcp.model import Model
from moa_mcp.values import Call, Completion

if TYPE_CHECKING:
    from tenacity import RetryCallState
    from tenacity.wait import wait_base

LARGEST_WAIT_S = 60.0
"""A longer `Retry-After` is not awaited, so that another route or a quorum can help."""


class Retried:
    """Retries calls that may succeed later, and waits as long as the provider requests."""

    def __init__(self, inner: Model, attempts: int, emit: Emit) -> None:
        self._inner = inner
        self._attempts = attempts
        self._emit = emit

    async def __call__(self, call: Call) -> Completion:
        try:
            return await self._inner(call)
        except CallError as error:
            if not _worth_retrying(error):
                raise
            failed = error
        return await self._again(call, failed)

    async def _again(self, call: Call, failed: CallError) -> Completion:
        """Retry after a first failure. Successful calls skip this: tenacity costs more than all other layers."""
        import tenacity  # noqa: PLC0415  a start need not wait for it

        first = [failed]

        async def attempt() -> Completion:
            if first:
                raise first.pop()
            return await self._inner(call)

        def waits(state: RetryCallState) -> None:
            if (next_action := state.next_action) and state.outcome and (error := state.outcome.exception()):
                until = time.time() + next_action.sleep
                for place in call.places:
                    self._emit(CallWaits(place=place, reason=f"a retry after {_kind(error)}", until=until))

        retrying = tenacity.AsyncRetrying(
            sleep=anyio.sleep,
            before_sleep=waits,
            stop=tenacity.stop_after_attempt(self._attempts),
            retry=tenacity.retry_if_exception(_worth_retrying),
            wait=_wait,
            reraise=True,
        )
        return await retrying(attempt)


@cache
def _backoff() -> wait_base:
    from tenacity import wait_random_exponential  # noqa: PLC0415  as above

    return wait_random_exponential(multiplier=0.5, max=20)


def _asked_wait(error: BaseException | None) -> float | None:
    return getattr(error, "retry_after_s", None)


def _kind(error: BaseException) -> str:
    return error.kind if isinstance(error, CallError) else type(error).__name__


def _worth_retrying(error: BaseException) -> bool:
    return isinstance(error, CallError) and error.retryable and (_asked_wait(error) or 0.0) <= LARGEST_WAIT_S


def _wait(state: RetryCallState) -> float:
    asked = _asked_wait(state.outcome.exception() if state.outcome else None)
    return _backoff()(state) if asked is None else asked
