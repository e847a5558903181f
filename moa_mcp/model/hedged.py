"""A call that takes much longer than its siblings gets a spare one, and the first answer of the two is taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev

import anyio

from moa_mcp.errors import CallError
from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion, Place

_LATE = NormalDist().inv_cdf(0.95)
_ALONE = 2.0
"""How much longer a call may take that is compared with those of the steps before, which ask for less."""
_SOONEST_S = 0.1
"""No call is late before, however quick the others were: a spare one would hardly save anything."""
_SPREAD = 2
"""How many times a spread takes."""


@dataclass(slots=True)
class Siblings:
    """The calls of one step, and how long those took that are answered."""

    earlier: Sequence[float] = ()
    """How long the calls of the steps before took."""
    asked: set[int] = field(default_factory=set[int])
    """Their numbers."""
    seconds: dict[int, float] = field(default_factory=dict[int, float])
    """By number, of those that are answered."""
    _changed: anyio.Event | None = None
    """There while somebody waits."""

    def asks(self, number: int) -> None:
        """Take in that one is asked; what is on record of it does not count then."""
        self.asked.add(number)
        self.seconds.pop(number, None)

    def answered(self, number: int, seconds: float) -> None:
        """Take in how long one took, and wake those that are under way."""
        self.seconds[number] = seconds
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    @property
    def late_s(self) -> float | None:
        """After how many seconds a call is late; None until half of the others, and two of them, have answered.

        One that has no two siblings is compared with the calls of the steps before, too.

        It is the 95th percentile of a normal distribution with their mean and spread. That of the answered ones
        themselves would be less than any call that is still under way has taken.
        """
        seconds = [*self.seconds.values()]
        if len(self.asked) > _SPREAD:
            enough = len(seconds) >= _SPREAD and 2 * len(seconds) >= len(self.asked) - 1
            return max(_SOONEST_S, _longest(seconds)) if enough else None
        seconds += self.earlier
        return max(_SOONEST_S, _ALONE * _longest(seconds)) if seconds else None

    async def outlasted(self, began: float) -> None:
        """Return when a call that began then is late."""
        while True:
            late = math.inf if self.late_s is None else began + self.late_s
            if anyio.current_time() >= late:
                return
            with anyio.CancelScope(deadline=late):
                self._changed = self._changed or anyio.Event()
                await self._changed.wait()


def _longest(seconds: Sequence[float]) -> float:
    """Return how long a call takes at most, as a rule; a single one is taken to vary by as much as it took."""
    return fmean(seconds) + _LATE * (stdev(seconds) if len(seconds) >= _SPREAD else seconds[0])


class Hedged:
    """Asks once more, at the next route if there is one, what takes longer than its siblings let expect."""

    def __init__(self, inner: Model, now: Callable[[], float], recorded: Mapping[Place, float]) -> None:
        """Take how long the calls took that were answered before the run was left, if it was."""
        self._inner = inner
        self._now = now
        self._recorded = recorded
        self._steps: dict[int, Siblings] = {}

    async def __call__(self, call: Call) -> Completion:
        siblings = self._steps.get(call.place.step) or self._begin(call.place.step)
        siblings.asks(call.place.number)
        began = self._now()
        completion = await (self._hedged(call, siblings, began) if call.hedge else self._inner(call))
        siblings.answered(call.place.number, self._now() - began)
        return completion

    def _begin(self, step: int) -> Siblings:
        """Return the siblings of a step that begins, or goes on."""
        recorded = {place.number: seconds for place, seconds in self._recorded.items() if place.step == step}
        before = {number: each.seconds for number, each in self._steps.items() if number < step}
        earlier = [seconds for of_step in before.values() for seconds in of_step.values()]
        unseen = (place for place in self._recorded if place.step < step and place.step not in before)
        earlier += [self._recorded[place] for place in unseen]
        siblings = self._steps[step] = Siblings(earlier, {*recorded}, recorded)
        return siblings

    async def _hedged(self, call: Call, siblings: Siblings, began: float) -> Completion:
        answered: list[tuple[int, Completion]] = []
        failed: list[CallError] = []
        late_s: float | None = None

        async with anyio.create_task_group() as tasks:

            async def ask(spare: int) -> None:
                try:
                    # The text of two answers would be told as one.
                    asked = call._replace(spare=spare, on_text=None) if spare else call
                    answered.append((spare, await self._inner(asked)))
                except CallError as error:
                    failed.append(error)
                if answered or len(failed) == (1 if late_s is None else 2):
                    tasks.cancel_scope.cancel()

            async def ask_again() -> None:
                nonlocal late_s
                await siblings.outlasted(began)
                late_s = anyio.current_time() - began
                await ask(1)

            tasks.start_soon(ask, 0)
            tasks.start_soon(ask_again)
        if not answered:
            raise failed[0]
        spare, completion = answered[0]
        if late_s is None:
            return completion
        which = "spare" if spare else "first"
        return completion.noted(f"late after {late_s:.1f} s, asked once more; the {which} call answered first")
