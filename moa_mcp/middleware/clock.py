"""The clock and the cancel scopes of the event loop, for layers that need them several times per call.

anyio finds the loop again for each of them, which takes ten times as long as reading the clock, and half of the time of
a scope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

import anyio


class Clock:
    """Returns the time of the event loop in which it is first called, in seconds."""

    def __init__(self) -> None:
        self._time: Callable[[], float] | None = None
        self._scope: Callable[..., anyio.CancelScope] | None = None

    def __call__(self) -> float:
        """Return the same as `anyio.current_time`."""
        if self._time is None:
            self._time = _time()
        return self._time()

    def scope(self, deadline: float = inf) -> anyio.CancelScope:
        """Return the same as `anyio.CancelScope`."""
        if self._scope is None:
            self._scope = type(anyio.CancelScope())
        return self._scope(deadline=deadline, shield=False)


def _time() -> Callable[[], float]:
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:  # the loop belongs to another library
        return anyio.current_time
