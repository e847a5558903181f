"""The runs that all ``moa/…`` models of a process share: one journal, and one set of limits and budgets.

A task of its own enters and leaves the scope of the runs, since Inspect neither opens nor closes a provider; the end of
each evaluation closes them (see `closing`). A later call opens them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakKeyDictionary

from moa_mcp.evaluation.inspecting import opening
from moa_mcp.evaluation.inspecting.answering import Answering
from moa_mcp.evaluation.inspecting.arguments import ModelArguments
from moa_mcp.evaluation.inspecting.failures import refused

_lent: ContextVar[Answering | None] = ContextVar("moa_mcp_lent", default=None)
"""A provider that Inspect creates has no other way to learn of an evaluation of ours."""


class _Shared:
    """Runs that are open while their task waits."""

    def __init__(self, arguments: ModelArguments) -> None:
        self._opened: asyncio.Future[Answering] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._own(arguments), name="runs of moa models")

    async def _own(self, arguments: ModelArguments) -> None:
        try:
            answering = opening.answering(arguments)
            async with answering.asker.runs.open():
                self._opened.set_result(answering)
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001  whoever waits for the runs raises it
            if not self._opened.done():
                self._opened.set_exception(error)
        finally:
            self._opened.cancel()

    @property
    def is_over(self) -> bool:
        """Whether the runs are closed, or could not be opened."""
        return self._task.done() or self._stop.is_set()

    async def answering(self) -> Answering:
        """Return what answers, when it is open. Raises what opening it raises."""
        return await asyncio.shield(self._opened)

    async def close(self) -> None:
        self._stop.set()
        await asyncio.wait([self._task])


_open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ModelArguments, _Shared]] = WeakKeyDictionary()
"""By event loop: runs belong to that in which they were opened."""


async def answering(arguments: ModelArguments) -> Answering:
    """Return what answers for models with these arguments: that of an evaluation of ours, or the shared one.

    Raises what `opening.answering` raises, and the error of `refused` if the event loop is not that of asyncio.
    """
    lent = _lent.get()
    if lent is not None:
        return lent
    try:
        shared = _open.setdefault(asyncio.get_running_loop(), {})
    except RuntimeError as error:
        raise refused("moa models need asyncio; unset INSPECT_ASYNC_BACKEND") from error
    if arguments not in shared or shared[arguments].is_over:
        from moa_mcp.evaluation.inspecting import closing  # noqa: PLC0415  it calls this module

        closing.register()
        shared[arguments] = _Shared(arguments)
    return await shared[arguments].answering()


async def close() -> None:
    """Close the shared runs of this event loop. Active runs stop; they can be resumed."""
    try:
        shared = _open.pop(asyncio.get_running_loop(), {})
    except RuntimeError:  # trio, where none were opened
        return
    for each in shared.values():
        await each.close()


def lent() -> Answering | None:
    """Return what an evaluation of ours lends to the models of its tasks; None outside of one."""
    return _lent.get()


@contextmanager
def lending(answering: Answering) -> Generator[None]:
    """Let all models of Inspect that are made or called inside the block answer with these runs."""
    token = _lent.set(answering)
    try:
        yield
    finally:
        _lent.reset(token)
