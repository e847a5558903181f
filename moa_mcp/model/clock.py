"""The event loop's clock, for what looks at it several times for each call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio


class Clock:
    """Tells the time of the event loop in which it is first asked, in seconds.

    anyio looks for the loop each time, which takes ten times as long as looking at its clock.
    """

    def __init__(self) -> None:
        self._time: Callable[[], float] | None = None

    def __call__(self) -> float:
        """Return what `anyio.current_time` does."""
        if self._time is None:
            self._time = _time()
        return self._time()


def _time() -> Callable[[], float]:
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:  # it is another library's
        return anyio.current_time
