"""A call that takes much longer than its siblings gets a spare one, and the first answer of the two is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev

import anyio

from moa_mcp.errors import CallError
from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion

_LATE = NormalDist().inv_cdf(0.95)
_ALONE = 2.0
"""How much longer a call that is alone in its step may take than those of the steps before, which ask for less."""


@dataclass(slots=True)
class Siblings:
    """The calls of one step, and how long those took that are answered."""

    earlier: Sequence[float] = ()
    """How long the calls of the steps before took."""
    asked: int = 0
    seconds: list[float] = field(default_factory=list[float])
    _changed: anyio.Event = field(default_factory=anyio.Event)

    def answered(self, seconds: float) -> None:
        """Take in how long one took, and wake those that are under way."""
        self.seconds.append(seconds)
        self._changed.set()
        self._changed = anyio.Event()

    @property
    def late_s(self) -> float | None:
        """After how many seconds a call is late; None until half of the others, and two of them, have answered.

        One that has no siblings is compared with the calls of the steps before.

        It is the 95th percentile of a normal distribution with their mean and spread. That of the answered ones
        themselves would be less than any call that is still under way has taken.
        """
        alone = self.asked == 1
        seconds = self.earlier if alone else self.seconds
        if len(seconds) < 2 or 2 * len(seconds) < self.asked - 1:  # noqa: PLR2004  a spread takes two
            return None
        return (_ALONE if alone else 1.0) * (fmean(seconds) + _LATE * stdev(seconds))

    async def outlasted(self, began: float) -> None:
        """Return when a call that began then is late."""
        while True:
            late = math.inf if self.late_s is None else began + self.late_s
            if anyio.current_time() >= late:
                return
            with anyio.CancelScope(deadline=late):
                await self._changed.wait()


class Hedged:
    """Asks once more, at the next route if there is one, what takes longer than its siblings let expect."""

    def __init__(self, inner: Model) -> None:
        self._inner = inner
        self._steps: dict[int, Siblings] = {}

    async def __call__(self, call: Call) -> Completion:
        if not call.hedge:
            return await self._inner(call)
        siblings = self._siblings(call.place.step)
        siblings.asked += 1
        began = anyio.current_time()
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
        siblings.answered(anyio.current_time() - began)
        spare, completion = answered[0]
        if late_s is None:
            return completion
        which = "spare" if spare else "first"
        return completion.noted(f"late after {late_s:.1f} s, asked once more; the {which} call answered first")

    def _siblings(self, step: int) -> Siblings:
        if step not in self._steps:
            earlier = [seconds for number, each in self._steps.items() if number < step for seconds in each.seconds]
            self._steps[step] = Siblings(earlier)
        return self._steps[step]
