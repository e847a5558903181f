"""The one interface through which questions are answered, and what its layers are handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from moa_mcp.events import Event
from moa_mcp.values import Call, Completion, Target


class Model(Protocol):
    """Anything that answers a call."""

    async def __call__(self, call: Call) -> Completion:
        """Answer the call.

        Raises:
            CallError: no answer came.

        """
        ...


Usable: TypeAlias = Callable[[str], Awaitable[tuple[Target, ...]]]
"""Returns where an alias can be served now, best first; raises `MissingKey` when nowhere."""


Keep: TypeAlias = Callable[[Event], Awaitable[None]]
"""Puts an event on record and tells it; raises `JournalError` if it can't be recorded.

One that is cancelled has done so all the same.
"""
