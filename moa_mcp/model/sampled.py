"""Equal calls are asked for together: with one request, or so that the provider's cache spares them the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from moa_mcp import catalog
from moa_mcp.errors import BudgetReached, CallError, ContextTooLong, RateLimited, RequestRefused, TimedOut
from moa_mcp.model.gathered import Gathering, Party, Seat
from moa_mcp.model.interface import Model
from moa_mcp.shares import shares
from moa_mcp.values import Call, Completion

_CHARACTERS = 4
"""Of one token, as English text has them."""
FIRST_S = 30.0
"""How long the first of several calls may take to begin its answer before the others go out without its cache."""
_OF_MANY = (BudgetReached, RateLimited, RequestRefused, TimedOut)
"""What a request may meet with because it asks for several answers: too many tokens for the budget or the minute, a
parameter that is not known, one slow answer that keeps the others. Only then may single calls do better."""


class Sampled:
    """Asks for equal calls together, where that saves the prompt: one answer each, none told twice, none made up."""

    def __init__(self, inner: Model, gathering: Gathering, *, cache_first: bool = False) -> None:
        """With `cache_first`, where one request brings one answer, the first call fills the provider's cache."""
        self._inner = inner
        self._gathering = gathering
        self._cache_first = cache_first

    async def __call__(self, call: Call) -> Completion:
        if call.on_text is not None or call.equals == 1:
            return await self._inner(call)
        seat = await self._gathering.seat(call)
        try:
            return await self._answer(seat)
        except BaseException:
            if not seat.announced:  # it may come again, by another route
                self._gathering.announce(call)
            raise

    async def _answer(self, seat: Seat) -> Completion:
        party, call = seat.party, seat.call
        if party is None:
            return await self._inner(call)
        if party.joint:
            return await self._jointly(party, seat)
        if self._cache_first and _is_cached(call):
            return await self._after_the_first(party, call._replace(prompt_recurs=True))
        return await self._inner(call)

    async def _jointly(self, party: Party, seat: Seat) -> Completion:
        if party.led:
            await party.end(seat)
        else:
            party.led = True
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._ask, party, tuple(party.seats))
                await party.end(seat)
        if seat.answer is not None:
            return seat.answer
        if party.error is not None and not _is_of_many(party.error):
            raise party.error
        completion = await self._inner(seat.call)
        if isinstance(party.error, RequestRefused):
            self._gathering.observe(seat.call.target, 1)
        return completion.noted(party.note)

    async def _ask(self, party: Party, asked: Sequence[Seat]) -> None:
        try:
            with party.scope:
                first, *others = [seat.call for seat in asked]
                call = first._replace(samples=len(asked), others=tuple(other.place for other in others))
                answers = shares(await self._inner(call))
                for seat, answer in zip(asked, answers, strict=False):
                    seat.answer = answer
                party.note = (
                    f"one request for {len(asked)} answers brought {len(answers)}; the others were asked singly"
                )
                if len(answers) == 1 < len(asked):
                    self._gathering.observe(first.target, 1)
        except CallError as error:
            party.error = error
            party.note = f"one request for {len(asked)} answers failed, and so they were asked singly: {error}"
            if not _is_of_many(error):
                self._gathering.announce_again(party.seats)
        finally:
            party.done.set()

    async def _after_the_first(self, party: Party, call: Call) -> Completion:
        if party.led:
            with anyio.move_on_after(FIRST_S):
                await party.done.wait()
            return await self._inner(call)
        party.led = True

        def begun(_: str) -> None:  # from then on the cache can be read from
            party.done.set()

        try:
            return await self._inner(call._replace(on_text=begun))
        finally:
            party.done.set()


def _is_of_many(error: CallError) -> bool:
    return isinstance(error, _OF_MANY) and not isinstance(error, ContextTooLong)


def _is_cached(call: Call) -> bool:
    fewest = None if call.target is None else catalog.caches_from(call.target)
    return fewest is not None and sum(len(message.content) for message in call.messages) >= _CHARACTERS * fewest
