"""The clock, the cancel scopes and the time limits of the event loop, for layers that need them several times per call.

anyio finds the loop again for each of them, which takes ten times as long as reading the clock, and half of the time of
a scope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf

import anyio

from moa_mcp.middleware.timeouts import Timeout, Timeouts


class Clock:
    """The clock of the event loop in which it is first used."""

    def __init__(self) -> None:
        self.time: Callable[[], float] = self._first_time
        """Returns the same as `anyio.current_time`."""
        self.scope: Callable[..., anyio.CancelScope] = self._first_scope
        """Returns the same as `anyio.CancelScope`, with the same parameters."""
        self.limit: Callable[..., Timeout | anyio.CancelScope] = self._first_limit
        """Returns what ends a block at its `deadline` as a scope does, and on asyncio is cheaper.

        The block must not rely on a shield of anyio.
        """

    def _first_time(self) -> float:
        self.time = asyncio.get_running_loop().time if _runs_on_asyncio() else anyio.current_time
        return self.time()

    def _first_scope(self, deadline: float = inf) -> anyio.CancelScope:
        self.scope = type(anyio.CancelScope())
        return self.scope(deadline=deadline)

    def _first_limit(self, deadline: float) -> Timeout | anyio.CancelScope:
        self.limit = partial(Timeout, Timeouts()) if _runs_on_asyncio() else self.scope
        return self.limit(deadline=deadline)


def _runs_on_asyncio() -> bool:
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError
