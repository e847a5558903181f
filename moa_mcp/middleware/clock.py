"""The clock of the event loop, for layers that read it several times per call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio


class Clock:
    """Returns the time of the event loop in which it is first called, in seconds.

    anyio finds the loop again for each reading, which takes ten times as long as reading its clock.
    """

    def __init__(self) -> None:
        self._time: Callable[[], float] | None = None

    def __call__(self) -> float:
        """Return the same as `anyio.current_time`."""
        if self._time is None:
            self._time = _time()
        return self._time()


def _time() -> Callable[[], float]:
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:  # the loop belongs to another library
        return anyio.current_time
