"""Ends attempts that take too long, and streams that pause too long or never end."""

from __future__ import annotations

from math import inf

from moa_mcp.errors import TimedOut
from moa_mcp.middleware.clock import Clock
from moa_mcp.model import Model
from moa_mcp.values import Call, Completion

STALL_S = 30.0
LONGEST = 10
"""Maximum duration of a streamed attempt, in multiples of its timeout."""


class Timed:
    """Ends an attempt after its timeout.

    Once text or reasoning arrives, it ends after a pause of `stall_s` instead, and after `LONGEST` times the timeout.
    """

    def __init__(self, inner: Model, now: Clock, stall_s: float = STALL_S) -> None:
        self._inner = inner
        self._now = now
        self._stall_s = stall_s

    async def __call__(self, call: Call) -> Completion:
        fault, bound_s = "did not answer within", call.timeout_s
        began = self._now()
        last = inf if bound_s is None else began + LONGEST * bound_s
        with self._now.scope(inf if bound_s is None else began + bound_s) as scope:
            if call.on_text is None:
                return await self._inner(call)
            on_text = call.on_text

            def heard(text: str) -> None:
                nonlocal fault, bound_s
                fault, bound_s = "stopped in the middle of its answer: no text for", self._stall_s
                scope.deadline = self._now() + self._stall_s
                if scope.deadline >= last:
                    fault, bound_s = "did not finish within", last - began
                    scope.deadline = last
                on_text(text)

            return await self._inner(call._replace(on_text=heard))
        model = call.target.model if call.target else call.agent
        raise TimedOut(f"{model} {fault} {bound_s:g} s")
