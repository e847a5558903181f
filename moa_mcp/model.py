"""The interface that models and middleware share, and the types of functions that middleware receives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeAlias

from moa_mcp.errors import MissingKey
from moa_mcp.events import Event
from moa_mcp.values import Call, Completion, Target


class Model(Protocol):
    """Answers calls."""

    def __call__(self, call: Call) -> Coroutine[Any, Any, Completion]:
        """Answer the call. An ``async def`` does, and so does what returns the coroutine of another model.

        Raises:
            CallError: there is no answer.

        """
        ...


Usable: TypeAlias = Callable[[str], Awaitable[tuple[Target, ...]]]
"""Returns the usable targets of an alias, best first. Raises `MissingKey` if there are none."""


async def targets_by_alias(usable: Usable, aliases: Iterable[str]) -> dict[str, tuple[Target, ...]]:
    """Return the usable targets of each alias, best first; empty where there are none."""
    found: dict[str, tuple[Target, ...]] = {}
    for alias in aliases:
        try:
            found[alias] = await usable(alias)
        except MissingKey:
            found[alias] = ()
    return found


Keep: TypeAlias = Callable[[Event], Awaitable[None]]
"""Stores an event and emits it. Raises `JournalError` if it can't be stored.

The event is stored even if the caller is cancelled.
"""
