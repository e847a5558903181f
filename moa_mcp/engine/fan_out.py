"""Concurrent calls, and when to stop waiting for them. It knows neither steps nor events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import TypeAlias

import anyio

from moa_mcp.engine.deadline import Cutoffs
from moa_mcp.engine.grace import LastCalls
from moa_mcp.engine.tasks import task_group
from moa_mcp.errors import CallError, StragglerDropped
from moa_mcp.model import Model
from moa_mcp.values import Answer, Call, Completion, Grace

Outcome: TypeAlias = Answer | CallError


async def fan_out(
    calls: Sequence[Call],
    model: Model,
    answered: Callable[[Call, Completion], Answer],
    failed: Callable[[Call, CallError], None],
    *,
    quorum: int,
    grace_s: Grace | None,
    cutoffs: Cutoffs,
) -> list[Outcome]:
    """Make one or more calls concurrently and return their outcomes, in order.

    `answered` makes an answer of each completion as it arrives, and `failed` is called with each call that fails.
    Waiting ends when all calls have ended, `grace_s` seconds after the quorum is reached, or at a cutoff. Calls that
    are still in progress are cancelled; their outcome is `StragglerDropped`. Calls that may be hedged can start tasks,
    which end with them.
    """
    began = anyio.current_time()
    outcomes: dict[int, Outcome] = {}
    wait = _Wait(calls, quorum, grace_s, cutoffs, began)
    async with task_group() as tasks:
        scope = tasks.cancel_scope
        scope.deadline = wait.ends

        def spawn(work: Callable[[], Coroutine[object, object, None]]) -> None:
            tasks.start_soon(work, name="hedge")

        async def one(index: int, call: Call) -> None:
            try:
                completion = await model(call._replace(spawn=spawn) if call.hedge else call)
            except CallError as error:
                failed(call, error)
                outcomes[index] = error
            else:
                outcomes[index] = answered(call, completion)
                if wait.changes(outcomes):
                    scope.deadline = wait.ends

        for index in range(1, len(calls)):
            tasks.start_soon(partial(one, index, calls[index]), name="call")
        await one(0, calls[0])  # without a task, which takes a tenth of the CPU time of a call
    waited = 0.0 if len(outcomes) == len(calls) else anyio.current_time() - began
    return [outcomes.get(index) or wait.dropped(waited) for index in range(len(calls))]


class _Wait:
    """When a fan-out stops waiting, and why."""

    def __init__(
        self, calls: Sequence[Call], quorum: int, grace_s: Grace | None, cutoffs: Cutoffs, began: float
    ) -> None:
        self._grace_s = None if grace_s == "auto" else grace_s
        self._last = LastCalls(calls, quorum) if grace_s == "auto" else None
        self._quorum = quorum
        self._cutoffs = cutoffs
        self._began = began
        self._answers = 0
        self._most_answered = False
        self.ends, self._why = (cutoffs.last, cutoffs.why) if quorum else cutoffs.until(began, self._grace_s)

    def changes(self, ended: Collection[int]) -> bool:
        """Count an answer; return whether it changes `ends`. `ended` has the indexes of all calls that ended."""
        self._answers += 1
        before = self.ends
        if self._answers == self._quorum:
            now = self._began if self._grace_s is None else anyio.current_time()
            self.ends, self._why = self._cutoffs.until(now, self._grace_s)
        if self._last is not None and self._answers >= self._last.enough and not self._most_answered:
            now = anyio.current_time()
            awaited_s = self._last.awaited_s(ended, now - self._began)
            if awaited_s is not None:
                self._most_answered = True
                self.ends, self._why = self._cutoffs.until(now, awaited_s, "most calls had answered")
        return self.ends != before

    def dropped(self, waited_s: float) -> StragglerDropped:
        return StragglerDropped(waited_s, self._why, by_default=self._most_answered and self._why != self._cutoffs.why)
