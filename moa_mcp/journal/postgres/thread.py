"""An event loop in a thread of its own, for the connections of a journal.

A command runs several event loops, one after the other, and a connection belongs to one. The driver also needs a kind
of loop that is not the usual one on Windows.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Value = TypeVar("Value")


class LoopThread:
    """Runs coroutines for callers in any event loop. It starts on first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, which runs."""
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.SelectorEventLoop()
                threading.Thread(target=self._run, args=(self._loop,), name="moa-journal", daemon=True).start()
        return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    @property
    def is_running(self) -> bool:
        """Whether it was used and not stopped."""
        return self._loop is not None

    async def run(self, coroutine: Coroutine[Any, Any, Value]) -> Value:
        """Run a coroutine and return its value. If the caller is cancelled, so is the coroutine."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.loop))

    def soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call a function in the loop soon."""
        self.loop.call_soon_threadsafe(callback, *arguments)

    async def stop(self) -> None:
        """Cancel what still runs, and end the loop. Nothing can be run afterwards."""
        if self._loop is not None:
            await self.run(_cancel_others())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
