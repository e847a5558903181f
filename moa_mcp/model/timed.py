"""An attempt ends that takes longer than it may; one whose text is arriving ends only when the text stops."""

from __future__ import annotations

from math import inf

import anyio

from moa_mcp.errors import TimedOut
from moa_mcp.model.clock import Clock
from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion

STALL_S = 30.0


class Timed:
    """Ends an attempt that takes longer than its step allows; once text is arriving, only a pause of `stall_s` does."""

    def __init__(self, inner: Model, now: Clock, stall_s: float = STALL_S) -> None:
        self._inner = inner
        self._now = now
        self._stall_s = stall_s

    async def __call__(self, call: Call) -> Completion:
        fault = "did not answer within"
        bound_s = call.timeout_s
        with anyio.CancelScope(deadline=inf if bound_s is None else self._now() + bound_s) as scope:
            if call.on_text is None:
                return await self._inner(call)
            on_text = call.on_text

            def heard(text: str) -> None:
                nonlocal fault, bound_s
                fault, bound_s = "stopped in the middle of its answer: nothing came for", self._stall_s
                scope.deadline = self._now() + self._stall_s
                on_text(text)

            return await self._inner(call._replace(on_text=heard))
        model = call.target.model if call.target else call.agent
        raise TimedOut(f"{model} {fault} {bound_s:g} s")
