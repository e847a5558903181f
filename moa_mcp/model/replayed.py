"""What is on record as paid is answered from there, and not asked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion, Message, Place


class Paid(NamedTuple):
    """An answer on record, and the question it answers."""

    agent: str
    messages: tuple[Message, ...]
    completion: Completion


@dataclass(frozen=True, slots=True)
class Before:
    """What a run had done when it was left: what is paid is not paid again."""

    paid: Mapping[Place, Paid] = field(default_factory=dict[Place, Paid])
    attempts: Mapping[Place, int] = field(default_factory=dict[Place, int])
    """How many attempts were made at each place."""
    seconds: Mapping[Place, float] = field(default_factory=dict[Place, float])
    """How long the calls took that were answered."""


class Replayed:
    """Answers from the record what is paid, and asks for what is not."""

    def __init__(self, inner: Model, paid: Mapping[Place, Paid]) -> None:
        self._inner = inner
        self._paid = paid

    async def __call__(self, call: Call) -> Completion:
        paid = self._paid.get(call.place)
        if paid is not None and (paid.agent, paid.messages) == (call.agent, call.messages):
            return paid.completion
        return await self._inner(call)
