"""Collects equal calls, so that one request can answer several of them.

`Announced` is outside the routes layer and announces each call. Inside of it, a call waits until no equal call is on
its way, so that no timer decides what is sent together. `sampled` decides how calls are sent together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable, MutableMapping
from typing import Any, TypeAlias

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct, field

from moa_mcp.errors import CallError
from moa_mcp.model import Model
from moa_mcp.values import Call, Completion, Message, Target

_Equal: TypeAlias = tuple[int, str, tuple[Message, ...], str, float | None]

Observed: TypeAlias = MutableMapping[Target | None, int]
"""By target: the number of answers that a request returned, if it is less than documented."""


def _equal(call: Call) -> _Equal:
    return call.place.step, call.agent, call.messages, repr(call.parameters), call.timeout_s


class BatchMember(Struct, eq=False):
    """A call that waits for equal calls, and its result."""

    call: Call
    batch: Batch | None = None
    """None for a call that is sent alone."""
    answer: Completion | None = None
    announced: bool = False
    """Whether the call was announced again for the next route."""
    taken: bool = False
    woken: anyio.Event | None = None

    def take(self, batch: Batch | None) -> None:
        """Release the call from waiting."""
        self.batch, self.taken = batch, True
        if self.woken is not None:
            self.woken.set()


class Batch(Struct, eq=False):
    """Equal calls that are sent together.

    The first one sends the request in its own task and completes it for the others.
    """

    members: list[BatchMember]
    """Calls that still need their answer."""
    joint: bool
    """Whether one request answers all of them."""
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=lambda: anyio.CancelScope(shield=True))
    led: bool = False
    note: str = ""
    """A note for answers that need a single request."""
    error: CallError | None = None

    async def end(self, member: BatchMember) -> None:
        """Return when the request has ended."""
        try:
            await self.done.wait()
        except BaseException:
            self.leave(member)
            raise

    def leave(self, member: BatchMember) -> None:
        """Give up an answer. If no call needs one, the request is cancelled."""
        self.members.remove(member)
        if not self.members:
            self.scope.cancel()


class EqualCalls:
    """The equal calls of a run that are announced or waiting."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._coming: Counter[_Equal] = Counter()
        self._waiting: defaultdict[_Equal, list[BatchMember]] = defaultdict(list)

    def announce(self, call: Call) -> None:
        """Announce a call."""
        self._coming[_equal(call)] += 1

    def announce_again(self, members: Iterable[BatchMember]) -> None:
        """Announce calls again, before the first of them arrives."""
        for member in members:
            member.announced = True
            self.announce(member.call)

    def withdraw(self, call: Call) -> None:
        """Withdraw a call that failed."""
        self._less(_equal(call))

    async def join(self, call: Call) -> BatchMember:
        """Wait until all equal calls have arrived, then return the call's place among them."""
        equal, member = _equal(call), BatchMember(call)
        self._waiting[equal].append(member)
        self._less(equal)
        if member.taken:
            return member
        member.woken = anyio.Event()
        try:
            await member.woken.wait()
        except BaseException:
            if not member.taken:
                self._waiting[equal].remove(member)
            elif member.batch is not None:
                member.batch.leave(member)
            self.announce(call)
            raise
        return member

    def most(self, target: Target | None) -> int:
        """Return the maximum number of answers per request."""
        return 1 if target is None else self._observed.get(target, target.samples)

    def observe(self, target: Target | None, most: int) -> None:
        """Store the number of answers that a request returned."""
        self._observed[target] = most

    def _less(self, equal: _Equal) -> None:
        self._coming[equal] -= 1
        if not self._coming[equal]:
            del self._coming[equal]
            self._let_go(self._waiting.pop(equal, []))

    def _let_go(self, members: list[BatchMember]) -> None:
        by_target: defaultdict[Target | None, list[BatchMember]] = defaultdict(list)
        for member in sorted(members, key=lambda member: member.call.place):
            by_target[member.call.target].append(member)
        for target, equals in by_target.items():
            most = self.most(target)
            size = most if most > 1 else len(equals)
            for first in range(0, len(equals), size):
                together = equals[first : first + size]
                batch = Batch([*together], joint=most > 1) if len(together) > 1 else None
                for member in together:
                    member.take(batch)


class Announced:
    """Announces each call, so that equal calls wait for it."""

    def __init__(self, inner: Model, equal_calls: EqualCalls) -> None:
        self._inner = inner
        self._equal_calls = equal_calls

    def __call__(self, call: Call) -> Coroutine[Any, Any, Completion]:
        alone = call.on_text is not None or call.equals == 1
        return self._inner(call) if alone else self._announced(call)

    async def _announced(self, call: Call) -> Completion:
        self._equal_calls.announce(call)
        try:
            await checkpoint()  # all calls of a step start together: after two checkpoints each is announced,
            await checkpoint()  # also to the call in the step's own task
            return await self._inner(call)
        except BaseException:
            self._equal_calls.withdraw(call)
            raise
