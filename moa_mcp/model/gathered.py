"""Where equal calls wait for each other, so that they can be asked together.

`Announced` stands outside the routes and says which calls are on their way; inside them a call takes a seat and waits,
until no call equal to it is on its way any more. So no clock decides what goes together. What is done with calls that
go together is decided by `sampled`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from moa_mcp.errors import CallError
from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion, Message, Target

_Equal: TypeAlias = tuple[int, str, tuple[Message, ...], frozenset[tuple[str, float | int]], float | None]

Observed: TypeAlias = MutableMapping[Target, int]
"""Where fewer answers came of one request than are known of the provider: how many."""


def _equal(call: Call) -> _Equal:
    return call.place.step, call.agent, call.messages, frozenset(call.parameters.items()), call.timeout_s


@dataclass(slots=True, eq=False)
class Seat:
    """A call that waits for those equal to it, and what came of it."""

    call: Call
    party: Party | None = None
    """None for a call that goes alone."""
    answer: Completion | None = None
    announced: bool = False
    """Whether it was said to be on its way again, to the next route."""
    taken: bool = False
    woken: anyio.Event | None = None

    def take(self, party: Party | None) -> None:
        """Let the call go on."""
        self.party, self.taken = party, True
        if self.woken is not None:
            self.woken.set()


@dataclass(slots=True, eq=False)
class Party:
    """Calls that go together. Who comes first to it asks, in its own task; that is seen through for the others."""

    seats: list[Seat]
    """Those who still want their answers."""
    joint: bool
    """Whether one request asks for all."""
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=lambda: anyio.CancelScope(shield=True))
    led: bool = False
    note: str = ""
    """What there is to say of an answer that must be asked for singly."""
    error: CallError | None = None

    async def end(self, seat: Seat) -> None:
        """Return when the request has ended."""
        try:
            await self.done.wait()
        except BaseException:
            self.leave(seat)
            raise

    def leave(self, seat: Seat) -> None:
        """Do without an answer; what nobody waits for is stopped."""
        self.seats.remove(seat)
        if not self.seats:
            self.scope.cancel()


class Gathering:
    """The equal calls of a run that are on their way, and those that wait for them."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._coming: Counter[_Equal] = Counter()
        self._waiting: defaultdict[_Equal, list[Seat]] = defaultdict(list)

    def announce(self, call: Call) -> None:
        """Say that a call is on its way."""
        self._coming[_equal(call)] += 1

    def announce_again(self, seats: Iterable[Seat]) -> None:
        """Say that calls are on their way again, before the first of them is."""
        for seat in seats:
            seat.announced = True
            self.announce(seat.call)

    def withdraw(self, call: Call) -> None:
        """Say that a call that failed is not on its way any more."""
        self._less(_equal(call))

    async def seat(self, call: Call) -> Seat:
        """Return a seat for a call that has come, once all calls equal to it have."""
        equal, seat = _equal(call), Seat(call)
        self._waiting[equal].append(seat)
        self._less(equal)
        if seat.taken:
            return seat
        seat.woken = anyio.Event()
        try:
            await seat.woken.wait()
        except BaseException:
            if not seat.taken:
                self._waiting[equal].remove(seat)
            elif seat.party is not None:
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

    def _less(self, equal: _Equal) -> None:
        self._coming[equal] -= 1
        if not self._coming[equal]:
            del self._coming[equal]
            self._let_go(self._waiting.pop(equal, []))

    def _let_go(self, seats: list[Seat]) -> None:
        by_target: defaultdict[Target | None, list[Seat]] = defaultdict(list)
        for seat in sorted(seats, key=lambda seat: seat.call.place):
            by_target[seat.call.target].append(seat)
        for target, equals in by_target.items():
            most = self.most(target)
            size = most if most > 1 else len(equals)
            for first in range(0, len(equals), size):
                together = equals[first : first + size]
                party = Party([*together], joint=most > 1) if len(together) > 1 else None
                for seat in together:
                    seat.take(party)


class Announced:
    """Says that a call is on its way, so that calls equal to it wait for it."""

    def __init__(self, inner: Model, gathering: Gathering) -> None:
        self._inner = inner
        self._gathering = gathering

    async def __call__(self, call: Call) -> Completion:
        if call.on_text is not None or call.equals == 1:
            return await self._inner(call)
        self._gathering.announce(call)
        try:
            await checkpoint()  # all calls of a step start together: after both of these each has been announced,
            await checkpoint()  # also to the one that the step's own task asks
            return await self._inner(call)
        except BaseException:
            self._gathering.withdraw(call)
            raise
