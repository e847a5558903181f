"""An attempt ends that takes longer than it may; one whose text is arriving ends only when the text stops."""

from __future__ import annotations

from dataclasses import replace

import anyio

from moa_mcp.errors import TimedOut
from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion

STALL_S = 30.0


class Timed:
    """Ends an attempt that takes longer than its step allows; once text is arriving, only a pause of `stall_s` does."""

    def __init__(self, inner: Model, stall_s: float = STALL_S) -> None:
        self._inner = inner
        self._stall_s = stall_s

    async def __call__(self, call: Call) -> Completion:
        model = call.target.model if call.target else call.agent
        fault = f"{model} did not answer within {call.timeout_s:g} s" if call.timeout_s else ""
        with anyio.move_on_after(call.timeout_s) as scope:

            def heard(text: str) -> None:
                nonlocal fault
                scope.deadline = anyio.current_time() + self._stall_s
                fault = f"{model} stopped in the middle of its answer: nothing came for {self._stall_s:g} s"
                if call.on_text is not None:
                    call.on_text(text)

            return await self._inner(call if call.on_text is None else replace(call, on_text=heard))
        raise TimedOut(fault)
