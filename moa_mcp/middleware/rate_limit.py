"""Sends a call when its provider and the process have a free slot."""

from __future__ import annotations

from functools import partial

from moa_mcp.errors import CallError, RateLimited, ServerFailed
from moa_mcp.events import CallWaits, Emit
from moa_mcp.middleware.limits import billed_tokens, most_tokens
from moa_mcp.middleware.shared_rates import Booking, SharedRates
from moa_mcp.middleware.slots import Slots
from moa_mcp.model import Model
from moa_mcp.values import Call, Completion


class Slotted:
    """Holds a slot during the call and adapts the limit to its result."""

    def __init__(self, inner: Model, slots: Slots, emit: Emit | None = None, rates: SharedRates | None = None) -> None:
        """`rates` are those that all processes share, if they do."""
        self._inner = inner
        self._rates = rates
        self._slots = slots
        self._emit = emit

    async def __call__(self, call: Call) -> Completion:
        lane = self._slots.lane(call.target)
        tokens_at_most = most_tokens(call) if lane.account.minute else 0
        slot = await self._slots.take(lane, tokens_at_most, partial(self._waits, call))
        tokens: int | None = None
        booking: Booking | None = None
        try:
            if self._rates is not None and call.target is not None:
                booking = await self._rates.take(call, call.target, partial(self._waits, call))
            completion = await self._inner(call)
            lane.adaptive_limit.answered()
            if completion.usage and (slot.spent or booking):
                tokens = billed_tokens(completion.usage)
            note = slot.note or (booking.note if booking else None)
            return completion.noted(note) if note else completion
        except CallError as error:
            tokens = billed_tokens(error.usage) if error.usage else 0 if error.paid is False else None
            if isinstance(error, RateLimited):
                lane.adaptive_limit.refused(slot.number)
            if isinstance(error, RateLimited | ServerFailed) and error.retry_after_s:
                self._slots.hold(lane, error.retry_after_s)
            raise
        finally:
            self._slots.give_back(slot, tokens)
            if booking is not None:
                booking.settle(tokens)

    def _waits(self, call: Call, reason: str, until: float | None) -> None:
        if self._emit is not None:
            for place in call.places:
                self._emit(CallWaits(place=place, reason=reason, until=until))
