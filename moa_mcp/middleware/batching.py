"""Sends equal calls together: as one request, or one first so that the others hit the provider's prompt cache."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

import anyio

from moa_mcp.errors import BudgetReached, CallError, ContextTooLong, RateLimited, RequestRefused, TimedOut
from moa_mcp.events import CallWaits, Emit
from moa_mcp.middleware.batches import Batch, BatchMember, EqualCalls
from moa_mcp.middleware.shares import shares
from moa_mcp.model import Model
from moa_mcp.routing import catalog
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Call, Completion

FIRST_S = 30.0
"""Seconds to wait for the first answer to begin before the other calls are sent anyway."""
_OF_MANY = (BudgetReached, RateLimited, RequestRefused, TimedOut)
"""Errors that a request for several answers may cause: too many tokens for a budget or rate limit, an unknown
parameter, one slow answer. Single requests may succeed."""


class Sampled:
    """Sends equal calls together if that saves prompt tokens. Each call gets its own answer."""

    def __init__(self, inner: Model, equal_calls: EqualCalls, emit: Emit, *, cache_first: bool = False) -> None:
        """With `cache_first`, where a request returns one answer, the first call fills the provider's cache."""
        self._inner = inner
        self._equal_calls = equal_calls
        self._emit = emit
        self._cache_first = cache_first

    def __call__(self, call: Call) -> Coroutine[Any, Any, Completion]:
        alone = call.on_text is not None or call.equals == 1
        return self._inner(call) if alone else self._with_equals(call)

    async def _with_equals(self, call: Call) -> Completion:
        member = await self._equal_calls.join(call)
        try:
            return await self._answer(member)
        except BaseException:
            if not member.announced:  # the call may return on another route
                self._equal_calls.announce(call)
            raise

    async def _answer(self, member: BatchMember) -> Completion:
        batch, call = member.batch, member.call
        if batch is None:
            return await self._inner(call)
        if batch.joint:
            return await self._jointly(batch, member)
        if self._cache_first and _is_cached(call):
            return await self._after_the_first(batch, call._replace(prompt_recurs=True))
        return await self._inner(call)

    async def _jointly(self, batch: Batch, member: BatchMember) -> Completion:
        if batch.led:
            await batch.end(member)
        else:
            batch.led = True
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._ask, batch, tuple(batch.members))
                await batch.end(member)
        if member.answer is not None:
            return member.answer
        if batch.error is not None and not _is_of_many(batch.error):
            raise batch.error
        completion = await self._inner(member.call)
        if isinstance(batch.error, RequestRefused):
            self._equal_calls.observe(member.call.target, 1)
        return completion.noted(batch.note)

    async def _ask(self, batch: Batch, asked: Sequence[BatchMember]) -> None:
        try:
            with batch.scope:
                first, *others = [member.call for member in asked]
                call = first._replace(samples=len(asked), others=tuple(other.place for other in others))
                answers = shares(await self._inner(call))
                for member, answer in zip(asked, answers, strict=False):
                    member.answer = answer
                batch.note = (
                    f"one request for {len(asked)} answers returned {len(answers)}; "
                    "the others were requested one by one"
                )
                if len(answers) == 1 < len(asked):
                    self._equal_calls.observe(first.target, 1)
        except CallError as error:
            batch.error = error
            batch.note = f"one request for {len(asked)} answers failed, so they were requested one by one: {error}"
            if not _is_of_many(error):
                self._equal_calls.announce_again(batch.members)
        finally:
            batch.done.set()

    async def _after_the_first(self, batch: Batch, call: Call) -> Completion:
        if batch.led:
            self._emit(CallWaits(place=call.place, reason="the first of equal calls to fill the provider's cache"))
            with anyio.move_on_after(FIRST_S):
                await batch.done.wait()
            return await self._inner(call)
        batch.led = True

        def begun(_: str) -> None:  # now the provider's cache has the prompt
            batch.done.set()

        try:
            return await self._inner(call._replace(on_text=begun))
        finally:
            batch.done.set()


def _is_of_many(error: CallError) -> bool:
    return isinstance(error, _OF_MANY) and not isinstance(error, ContextTooLong)


def _is_cached(call: Call) -> bool:
    fewest = None if call.target is None else catalog.caches_from(call.target)
    return fewest is not None and EXPECTED.messages([message.content for message in call.messages]) >= fewest
