"""The runs that pages look at, read from the journal as they happen: each look reads what is new."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread

from moa_mcp.errors import MoaError
from moa_mcp.journal import Page
from moa_mcp.journal.damage import readable
from moa_mcp.runs import settle
from moa_mcp.trace.trace import Trace
from moa_mcp.viewer.data import Json
from moa_mcp.viewer.live import Live

_MOST = 32

Value = TypeVar("Value")


class RunSource(Protocol):
    """Where runs are read from: a journal, or the `Runs` of a process."""

    async def events(self, run_id: str, after: int = 0) -> Page:
        """Return the events of a run after a mark. Raises `RunNotFound`, `JournalError`."""
        ...


class FollowedRuns:
    """The runs that were looked at last, whichever process executes them."""

    def __init__(self, journal: RunSource) -> None:
        self._journal = journal
        self._runs: OrderedDict[str, _Followed] = OrderedDict()

    async def news(self, run_id: str, mark: int) -> dict[str, Json]:
        """Return what happened in a run after a mark, as `Live.news` does. Raises `RunNotFound`, `JournalError`."""
        return await self._look(run_id, lambda live: live.news(mark))

    async def trace(self, run_id: str) -> Trace:
        """Return the trace of a run so far, which changes as the run goes on. Raises as `news` does."""
        return await self._look(run_id, lambda live: live.trace)

    async def _look(self, run_id: str, at: Callable[[Live], Value]) -> Value:
        followed = self._runs.setdefault(run_id, _Followed(self._journal, run_id))
        self._runs.move_to_end(run_id)
        while len(self._runs) > _MOST:
            self._runs.popitem(last=False)
        try:
            return await followed.look(at)
        except MoaError:  # it is read anew next time
            self._runs.pop(run_id, None)
            raise


class _Followed:
    def __init__(self, journal: RunSource, run_id: str) -> None:
        self._journal = journal
        self._run_id = run_id
        self._lock = anyio.Lock()
        self._begin()

    def _begin(self) -> None:
        self._live = Live()
        self._mark = 0
        self._ended = False
        """Whether the trace has the ends of requests that no event tells."""

    async def look(self, at: Callable[[Live], Value]) -> Value:
        async with self._lock:
            events, mark, record = await self._journal.events(self._run_id, self._mark)
            ended = not record.is_active
            if self._ended and (events or not ended):  # it was resumed, or its process is alive after all
                self._begin()
                events, mark, record = await self._journal.events(self._run_id)
            with readable(self._run_id):
                self._live.add(events)
            settle(self._live.trace, record)
            self._mark, self._ended = mark, ended
            return await anyio.to_thread.run_sync(at, self._live)  # the news of a large run take a while
