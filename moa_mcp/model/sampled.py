"""Equal calls are asked for together: with one request, or so that the provider's cache spares them the prompt.

`Announced` stands outside the routes and tells which calls are on their way; `Sampled` stands inside and lets equal
calls wait for each other, until none is on its way any more. So no clock decides what goes together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from moa_mcp import catalog
from moa_mcp.errors import BudgetReached, CallError, ContextTooLong, RateLimited, RequestRefused, TimedOut
from moa_mcp.model.interface import Model
from moa_mcp.shares import shares
from moa_mcp.values import Call, Completion, Message, Target

_Equal: TypeAlias = tuple[int, str, tuple[Message, ...], frozenset[tuple[str, float | int]], float | None]

Observed: TypeAlias = MutableMapping[Target, int]
"""Where fewer answers came of one request than are known of the provider: how many."""

_CHARACTERS = 4
"""Of one token, as English text has them."""
_OF_MANY = (BudgetReached, RateLimited, RequestRefused, TimedOut)
"""What a request may meet with because it asks for several answers: too many tokens for the budget or the minute, a
parameter that is not known, one slow answer that keeps the others. Only then may single calls do better."""


def _equal(call: Call) -> _Equal:
    return call.place.step, call.agent, call.messages, frozenset(call.parameters.items()), call.timeout_s


@dataclass(slots=True, eq=False)
class _Seat:
    """A call among equal ones."""

    call: Call
    seated: anyio.Event = field(default_factory=anyio.Event)
    party: _Party | None = None
    answer: Completion | None = None
    announced: bool = False
    """Whether it was said to be on its way again, to the next route."""


@dataclass(slots=True, eq=False)
class _Party:
    """Calls that go together. Who comes first to it asks, in its own task; that is seen through for the others."""

    seats: list[_Seat]
    """Those who still want their answers."""
    joint: bool
    """Whether one request asks for all."""
    size: int
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=lambda: anyio.CancelScope(shield=True))
    led: bool = False
    note: str = ""
    """What there is to say of an answer that must be asked for singly."""
    error: CallError | None = None

    async def end(self, seat: _Seat) -> None:
        """Return when the request has ended."""
        try:
            await self.done.wait()
        except BaseException:
            self.leave(seat)
            raise

    def leave(self, seat: _Seat) -> None:
        """Do without an answer; what nobody waits for is stopped."""
        self.seats.remove(seat)
        if not self.seats:
            self.scope.cancel()


class Gathering:
    """Where the equal calls of a run wait for each other."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._coming: Counter[_Equal] = Counter()
        self._waiting: defaultdict[_Equal, list[_Seat]] = defaultdict(list)

    def announce(self, call: Call) -> None:
        """Say that a call is on its way."""
        self._coming[_equal(call)] += 1

    def withdraw(self, call: Call) -> None:
        """Say that it is not on its way any more: here, ended or given up."""
        equal = _equal(call)
        self._coming[equal] -= 1
        if not self._coming[equal]:
            del self._coming[equal]
            self._seat(self._waiting.pop(equal, []))

    def announce_again(self, seats: Iterable[_Seat]) -> None:
        """Say that calls are on their way again, before the first of them is here."""
        for seat in seats:
            seat.announced = True
            self.announce(seat.call)

    async def seat(self, call: Call) -> _Seat:
        """Return a seat for a call, once all calls equal to it are here."""
        seat = _Seat(call)
        self._waiting[_equal(call)].append(seat)
        self.withdraw(call)
        try:
            await seat.seated.wait()
        except BaseException:
            if seat.party is None:
                self._waiting[_equal(call)].remove(seat)
            else:
                seat.party.leave(seat)
            self.announce(call)
            raise
        return seat

    def most(self, target: Target | None) -> int:
        """Return how many answers one request brings."""
        return 1 if target is None else self._observed.get(target, target.samples)

    def observe(self, target: Target | None, most: int) -> None:
        """Keep how many answers came."""
        if target is not None:
            self._observed[target] = most

    def _seat(self, seats: list[_Seat]) -> None:
        by_target: defaultdict[Target | None, list[_Seat]] = defaultdict(list)
        for seat in sorted(seats, key=lambda seat: seat.call.place):
            by_target[seat.call.target].append(seat)
        for target, together in by_target.items():
            most = self.most(target)
            size = most if most > 1 else len(together)
            for first in range(0, len(together), size):
                seated = together[first : first + size]
                party = _Party(seated, joint=most > 1 and len(seated) > 1, size=len(seated))
                for seat in list(seated):
                    seat.party = party
                    seat.seated.set()


class Announced:
    """Says that a call is on its way, so that calls equal to it wait for it."""

    def __init__(self, inner: Model, gathering: Gathering) -> None:
        self._inner = inner
        self._gathering = gathering

    async def __call__(self, call: Call) -> Completion:
        if call.on_text is not None:
            return await self._inner(call)
        self._gathering.announce(call)
        try:
            await checkpoint()  # all calls of a step start together: here each has been announced
            return await self._inner(call)
        except BaseException:
            self._gathering.withdraw(call)
            raise


class Sampled:
    """Asks for equal calls together, where that saves the prompt: one answer each, none told twice, none made up."""

    def __init__(self, inner: Model, gathering: Gathering, *, cache_first: bool = False) -> None:
        """With `cache_first`, where one request brings one answer, the first call fills the provider's cache."""
        self._inner = inner
        self._gathering = gathering
        self._cache_first = cache_first

    async def __call__(self, call: Call) -> Completion:
        if call.on_text is not None:
            return await self._inner(call)
        seat = await self._gathering.seat(call)
        try:
            return await self._answer(seat)
        except BaseException:
            if not seat.announced:  # it may come again, by another route
                self._gathering.announce(call)
            raise

    async def _answer(self, seat: _Seat) -> Completion:
        party, call = seat.party, seat.call
        if party is not None and party.joint:
            return await self._jointly(party, seat)
        if party is not None and party.size > 1 and self._cache_first and _is_cached(call):
            return await self._after_the_first(party, replace(call, prompt_recurs=True))
        return await self._inner(call)

    async def _jointly(self, party: _Party, seat: _Seat) -> Completion:
        if party.led:
            await party.end(seat)
        else:
            party.led = True
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._ask, party)
                await party.end(seat)
        if seat.answer is not None:
            return seat.answer
        if party.error is not None and not _is_of_many(party.error):
            raise party.error
        completion = await self._inner(seat.call)
        if isinstance(party.error, RequestRefused):
            self._gathering.observe(seat.call.target, 1)
        return completion.noted(party.note)

    async def _ask(self, party: _Party) -> None:
        asked = tuple(party.seats)
        try:
            with party.scope:
                first, *others = [seat.call for seat in asked]
                call = replace(first, samples=len(asked), others=tuple(other.place for other in others))
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

    async def _after_the_first(self, party: _Party, call: Call) -> Completion:
        if party.led:
            await party.done.wait()
            return await self._inner(call)
        party.led = True

        def begun(_: str) -> None:  # from then on the cache can be read from
            party.done.set()

        try:
            return await self._inner(replace(call, on_text=begun))
        finally:
            party.done.set()


def _is_of_many(error: CallError) -> bool:
    return isinstance(error, _OF_MANY) and not isinstance(error, ContextTooLong)


def _is_cached(call: Call) -> bool:
    fewest = None if call.target is None else catalog.caches_from(call.target)
    return fewest is not None and sum(len(message.content) for message in call.messages) >= _CHARACTERS * fewest
