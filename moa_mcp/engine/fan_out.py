"""Many calls at once, and when to stop waiting for them. It knows neither steps nor events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio

from moa_mcp.engine.deadline import Cutoffs
from moa_mcp.errors import CallError, StragglerDropped
from moa_mcp.values import Answer, Call

Outcome: TypeAlias = Answer | CallError


async def fan_out(
    calls: Sequence[Call],
    ask: Callable[[Call], Awaitable[Outcome]],
    *,
    quorum: int,
    grace_s: float | None,
    cutoffs: Cutoffs,
) -> list[Outcome]:
    """Ask all calls, one at least, at once and return what came of them, in their order.

    Waiting ends when all have ended; when the quorum has been there for `grace_s`; or at a cutoff. The calls that are
    under way then are cancelled and come as `StragglerDropped`.
    """
    began = anyio.current_time()
    outcomes: dict[int, Outcome] = {}
    answered = 0
    ends, why = (cutoffs.last, cutoffs.why) if quorum else cutoffs.until(began, grace_s)
    async with anyio.create_task_group() as tasks:
        scope = tasks.cancel_scope
        scope.deadline = ends

        async def one(index: int, call: Call) -> None:
            nonlocal answered, why
            outcomes[index] = outcome = await ask(call)
            if isinstance(outcome, Answer):
                answered += 1
                if answered == quorum:
                    now = began if grace_s is None else anyio.current_time()
                    scope.deadline, why = cutoffs.until(now, grace_s)

        for index in range(1, len(calls)):
            tasks.start_soon(one, index, calls[index], name="call")
        await one(0, calls[0])  # here: a task costs a tenth of a call
    waited = 0.0 if len(outcomes) == len(calls) else anyio.current_time() - began
    return [outcomes.get(index) or StragglerDropped(waited, why) for index in range(len(calls))]
