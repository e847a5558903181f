"""Sends a call when its provider and the process have a free slot."""

from __future__ import annotations

from functools import partial

from moa_mcp.errors import CallError, RateLimited, ServerFailed
from moa_mcp.events import CallWaits, Emit
from moa_mcp.middleware.limits import billed_tokens, most_tokens
from moa_mcp.middleware.slots import Slots
from moa_mcp.model import Model
from moa_mcp.values import Call, Completion


class Slotted:
    """Holds a slot during the call and adapts the limit to its result."""

    def __init__(self, inner: Model, slots: Slots, emit: Emit | None = None) -> None:
        self._inner = inner
        self._slots = slots
        self._emit = emit

    async def __call__(self, call: Call) -> Completion:
        lane = self._slots.lane(call.target)
        tokens_at_most = most_tokens(call) if lane.account.minute else 0
        slot = await self._slots.take(lane, tokens_at_most, partial(self._waits, call))
        tokens: int | None = None
        try:
            completion = await self._inner(call)
            lane.adaptive_limit.answered()
            tokens = billed_tokens(completion.usage) if completion.usage else None
            return completion.noted(slot.note) if slot.note else completion
        except CallError as error:
            tokens = billed_tokens(error.usage) if error.usage else 0 if error.paid is False else None
            if isinstance(error, RateLimited):
                lane.adaptive_limit.refused(slot.number)
            if isinstance(error, RateLimited | ServerFailed) and error.retry_after_s:
                self._slots.hold(lane, error.retry_after_s)
            raise
        finally:
            self._slots.give_back(slot, tokens)

    def _waits(self, call: Call, reason: str, until: float | None) -> None:
        if self._emit is not None:
            for place in call.places:
                self._emit(CallWaits(place=place, reason=reason, until=until))
