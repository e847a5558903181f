"""Clocks that jump to the next thing to do, so that waiting takes no time. Not for tests that wait for a socket."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

from trio.testing import MockClock


class _Jumping(selectors.SelectSelector):
    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout else timeout)
        if not ready and timeout:
            self.now_s += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def jumping(backend: str) -> tuple[str, dict[str, Any]]:
    """Return what the `anyio_backend` fixture of a test module returns to have such a clock."""
    if backend == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": _JumpingLoop}
