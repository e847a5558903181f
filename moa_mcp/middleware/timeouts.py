"""Time limits of requests on asyncio: one timer for all of them, since nearly none is ever reached.

anyio's scope takes a timer for each request and five times as many function calls. Unlike it, a limit cancels the task
itself, which no shield of anyio prevents, so what is limited must not rely on one to clean up.
"""

from __future__ import annotations

import asyncio
from math import inf
from types import TracebackType
from typing import Self


class Timeouts:
    """The limits of the requests in progress in the running event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.looks_at = inf
        """When the timer looks for limits that are reached; infinite without a timer."""
        self.limits: set[Timeout] = set()
        self._timer: asyncio.TimerHandle | None = None

    def look_at(self, at: float) -> None:
        """Set the timer to a time, instead of a later one."""
        self.stop()
        self.looks_at = at
        self._timer = self.loop.call_at(at, self._look)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.looks_at = None, inf

    def _look(self) -> None:
        """End what has reached its limit, and set the timer to the next limit."""
        now = self.loop.time()
        for limit in self.limits:
            if limit.deadline <= now:
                limit.reach()
        self.stop()
        if (at := min([limit.deadline for limit in self.limits], default=inf)) < inf:
            self.look_at(at)


class Timeout:
    """Ends its block at its deadline, without an error. Then it is cancelled at every await, as by a scope of anyio.

    If the task is cancelled from elsewhere too, that cancellation goes on.
    """

    __slots__ = ("_before", "_cancelled", "_deadline", "_limits", "_others", "_reached", "_task")

    def __init__(self, limits: Timeouts, deadline: float) -> None:
        """`deadline` is in seconds of the event loop's clock."""
        self._limits = limits
        self._deadline = deadline
        self._task: asyncio.Task[object] | None = None
        """The task of the block, until that ends."""
        self._before = self._others = 0
        """The cancellations of the task from elsewhere: before the block, and seen up to now."""
        self._cancelled = 0
        """How often the limit cancelled the task."""
        self._reached = False

    def __enter__(self) -> Self:
        limits = self._limits
        task = self._task = asyncio.current_task(limits.loop)
        assert task is not None  # noqa: S101  for the type checkers: a coroutine runs in a task
        self._before = self._others = task.cancelling()
        limits.limits.add(self)
        if self._deadline < limits.looks_at:
            limits.look_at(self._deadline)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        limits, task, self._task = self._limits, self._task, None
        limits.limits.remove(self)
        if not limits.limits:
            limits.stop()
        if task is None or not self._cancelled:
            return False
        for _ in range(self._cancelled):
            task.uncancel()
        return isinstance(error, asyncio.CancelledError) and task.cancelling() <= self._before

    @property
    def deadline(self) -> float:
        """When it ends its block; infinite once it does."""
        return self._deadline

    @deadline.setter
    def deadline(self, deadline: float) -> None:
        if not self._reached:
            self._deadline = deadline
            if deadline < self._limits.looks_at:
                self._limits.look_at(deadline)

    def reach(self) -> None:
        """End the block. A result that has just arrived is used: its task runs before the cancellation."""
        self._reached, self._deadline = True, inf
        self._limits.loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        """Cancel the task, again and again until the block ends, since something in it may catch a cancellation."""
        task = self._task
        if task is None:
            return
        others = task.cancelling() - self._cancelled
        if others == self._others:
            self._cancelled += 1
            task.cancel()
        self._others = others  # another cancellation arrives first, because its scope recognizes it by its message
        self._limits.loop.call_soon(self._cancel)
