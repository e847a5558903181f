"""How many runs a caller has at the same time, in all processes that share the journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from moa_mcp.callers import Caller
from moa_mcp.errors import TooManyRuns
from moa_mcp.runs.lookup import every
from moa_mcp.runs.runs import Runs
from moa_mcp.runs.watching import is_active
from moa_mcp.values import ACTIVE


class Concurrency:
    """The runs that callers are starting in this process. Those that have started are in the journal."""

    def __init__(self) -> None:
        self._starting: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """By caller, the IDs in order: of two runs that start together, the second one counts the first."""

    @asynccontextmanager
    async def room(self, runs: Runs, caller: Caller, run_id: str) -> AsyncGenerator[None]:
        """Return the block in which a run starts.

        Raises:
            TooManyRuns: the caller has as many runs as its `max_runs`.
            JournalError: the journal can't be read.

        """
        limit = caller.permissions.max_runs
        if limit is None:
            yield
            return
        starting = self._starting[caller.name]
        starting[run_id] = None
        try:
            busy = await self._busy(runs, caller, run_id)
            if len(busy) >= limit:
                raise TooManyRuns(limit, sorted(busy))
            yield
        finally:
            starting.pop(run_id, None)

    async def _busy(self, runs: Runs, caller: Caller, run_id: str) -> set[str]:
        """Return the other runs of a caller that are queued, in progress, or started before this one."""
        records = every(runs.journal, ACTIVE, caller=caller.name)
        busy = {each.run_id async for each in records if is_active(each)}
        starting = list(self._starting[caller.name])
        return {*busy, *starting[: starting.index(run_id)], *runs.active_of(caller.name)} - {run_id}
