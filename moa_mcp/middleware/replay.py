"""Returns recorded answers instead of paying for them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, field

from moa_mcp.model import Model
from moa_mcp.values import Call, Completion, Message, Place


class Paid(NamedTuple):
    """A recorded answer and its prompt."""

    agent: str
    messages: tuple[Message, ...]
    completion: Completion


class PaidCalls(Struct, frozen=True):
    """The paid calls of a run before it was resumed."""

    paid: Mapping[Place, Paid] = field(default_factory=dict[Place, Paid])
    attempts: Mapping[Place, int] = field(default_factory=dict[Place, int])
    """Number of attempts at each place."""
    seconds: Mapping[Place, float] = field(default_factory=dict[Place, float])
    """Durations of the answered calls."""


class Replayed:
    """Returns the recorded answer of a call, or makes the call if there is none."""

    def __init__(self, inner: Model, paid: Mapping[Place, Paid]) -> None:
        self._inner = inner
        self._paid = paid

    async def __call__(self, call: Call) -> Completion:
        paid = self._paid.get(call.place)
        if paid is not None and (paid.agent, paid.messages) == (call.agent, call.messages):
            return paid.completion
        return await self._inner(call)
