"""Ends attempts that take too long, and streams that pause too long or never end."""

from __future__ import annotations

from math import inf

from anyio.lowlevel import checkpoint_if_cancelled

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

    def __init__(self, inner: Model, clock: Clock, stall_s: float = STALL_S) -> None:
        self._inner = inner
        self._clock = clock
        self._stall_s = stall_s

    async def __call__(self, call: Call) -> Completion:
        fault, bound_s = "did not answer within", call.timeout_s
        began = self._clock.time()
        last = inf if bound_s is None else began + LONGEST * bound_s
        # programs and litellm clean up under a shield
        limited = self._clock.limit if call.target and call.target.transport == "openai" else self._clock.scope
        with limited(deadline=inf if bound_s is None else began + bound_s) as limit:
            if call.on_text is None:
                return await self._inner(call)
            on_text = call.on_text

            def heard(text: str) -> None:
                nonlocal fault, bound_s
                fault, bound_s = "stopped in the middle of its answer: no text for", self._stall_s
                ends_at = self._clock.time() + self._stall_s
                if ends_at >= last:
                    fault, bound_s = "did not finish within", last - began
                    ends_at = last
                limit.deadline = ends_at
                on_text(text)

            return await self._inner(call._replace(on_text=heard))
        await checkpoint_if_cancelled()  # a run that is cancelled at the same moment has no timeout
        model = call.target.model if call.target else call.agent
        raise TimedOut(f"{model} {fault} {bound_s:g} s")
