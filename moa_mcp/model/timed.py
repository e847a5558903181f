"""An attempt ends that takes longer than it may."""

from __future__ import annotations

import anyio

from moa_mcp.errors import TimedOut
from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion


class Timed:
    """Ends an attempt that takes longer than its step allows."""

    def __init__(self, inner: Model) -> None:
        self._inner = inner

    async def __call__(self, call: Call) -> Completion:
        with anyio.move_on_after(call.timeout_s):
            return await self._inner(call)
        model = call.target.model if call.target else call.agent
        raise TimedOut(f"{model} did not answer within {call.timeout_s:g} s")
