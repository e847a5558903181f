"""A group of tasks for calls: on asyncio, in a third of the CPU time of anyio's; elsewhere anyio's own.

An anyio task has a cancel scope, an event and a handle of its own, of which a call needs none. On asyncio, the tasks
of this group are plain ones, which are cancelled once, as those of `asyncio.TaskGroup` are. Scopes inside of a task,
such as those that limit its time, are anyio's and work as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

Work = Callable[[], Coroutine[object, object, None]]


def task_group() -> PlainTasks | TaskGroup:
    """Return a group of tasks for the event loop that runs."""
    return PlainTasks() if anyio.get_cancelled_exc_class() is asyncio.CancelledError else anyio.create_task_group()


class PlainTasks:
    """Tasks of asyncio that all end before the block that opened the group."""

    def __init__(self) -> None:
        self.cancel_scope = anyio.CancelScope()
        """Around the block. If it is cancelled, so are the tasks."""
        self._loop = asyncio.get_running_loop()
        self._left: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._cancelled = False
        self._all_ended: asyncio.Future[None] | None = None
        """Set while the block waits for its tasks."""

    async def __aenter__(self) -> Self:
        self.cancel_scope.__enter__()
        return self

    def start_soon(self, func: Work, /, *, name: str) -> None:
        """Start a task. If it raises an error, all others are cancelled."""
        task = self._loop.create_task(func(), name=name)
        self._left.add(task)
        task.add_done_callback(self._ended)
        if self._cancelled:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._left.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)
            self.cancel_scope.cancel()
        if not self._left and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        raised = error
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._errors.append(error)
        try:
            await self._wait(cancel=error is not None)
        except asyncio.CancelledError as cancelled:
            raised = raised or cancelled
            await self._wait_for_cancelled()
        if self._errors:
            raised = BaseExceptionGroup("errors in the tasks of calls", self._errors)
        caught = self.cancel_scope.__exit__(None if raised is None else type(raised), raised, None)
        if raised is None or raised is error or caught:
            return caught
        raise raised

    async def _wait(self, *, cancel: bool) -> None:
        """Return when all tasks have ended."""
        if cancel:
            await self._wait_for_cancelled()
        while self._left:
            self._all_ended = self._loop.create_future()
            await self._all_ended

    async def _wait_for_cancelled(self) -> None:
        """Cancel the tasks, once, and return when they have ended."""
        self._cancelled = True
        for task in self._left:
            task.cancel()
        with anyio.CancelScope(shield=True):
            while self._left:
                self._all_ended = self._loop.create_future()
                with suppress(asyncio.CancelledError):
                    await self._all_ended
