"""Hedging: sends a second request for a call that takes much longer than the others of its step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev

import anyio

from moa_mcp.errors import CallError
from moa_mcp.model import Model
from moa_mcp.values import Call, Completion, Place

_LATE = NormalDist().inv_cdf(0.95)
_ALONE = 2.0
"""Factor for the limit of a call that is compared with earlier steps, whose calls are usually shorter."""
_SOONEST_S = 0.1
"""Minimum seconds before a second request, however fast the other calls were."""
_SPREAD = 2
"""Minimum number of values for a standard deviation."""


@dataclass(slots=True)
class Siblings:
    """The calls of one step and their durations."""

    earlier: Sequence[float] = ()
    """Durations of the calls of earlier steps."""
    asked: set[int] = field(default_factory=set[int])
    """Numbers of the calls that were started."""
    seconds: dict[int, float] = field(default_factory=dict[int, float])
    """Durations of the answered calls, by number."""
    _changed: anyio.Event | None = None
    """Set while a call waits for a change."""

    def asks(self, number: int) -> None:
        """Register a call that starts. An earlier duration for it is discarded."""
        self.asked.add(number)
        self.seconds.pop(number, None)

    def answered(self, number: int, seconds: float) -> None:
        """Store the duration of a call and wake those that wait."""
        self.seconds[number] = seconds
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    @property
    def late_s(self) -> float | None:
        """Seconds after which a call is late; None until half of the other calls, and at least two, are answered.

        A call with fewer than two siblings is also compared with the calls of earlier steps.

        The limit is the 95th percentile of a normal distribution with their mean and standard deviation. The percentile
        of the answered calls alone would be too low, because the slowest ones are still in progress.
        """
        seconds = [*self.seconds.values()]
        if len(self.asked) > _SPREAD:
            enough = len(seconds) >= _SPREAD and 2 * len(seconds) >= len(self.asked) - 1
            return max(_SOONEST_S, _longest(seconds)) if enough else None
        seconds += self.earlier
        return max(_SOONEST_S, _ALONE * _longest(seconds)) if seconds else None

    async def outlasted(self, began: float) -> None:
        """Return when a call that started at `began` is late."""
        while True:
            late = math.inf if self.late_s is None else began + self.late_s
            if anyio.current_time() >= late:
                return
            with anyio.CancelScope(deadline=late):
                self._changed = self._changed or anyio.Event()
                await self._changed.wait()


def _longest(seconds: Sequence[float]) -> float:
    """Return the usual maximum duration. A single value counts as its own standard deviation."""
    return fmean(seconds) + _LATE * (stdev(seconds) if len(seconds) >= _SPREAD else seconds[0])


class Hedged:
    """Sends a second request for a late call, on the next route if there is one; the first answer wins."""

    def __init__(self, inner: Model, now: Callable[[], float], recorded: Mapping[Place, float]) -> None:
        """Wrap a model; `recorded` has the durations of calls that were answered before a resume."""
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
        """Return the siblings of a step that starts or resumes."""
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
                    # Two streams would be mixed into one text.
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
        which = "second" if spare else "first"
        return completion.noted(f"sent a second request after {late_s:.1f} s; the {which} one answered first")
