"""A daily cap that all processes with the same journal share, for all runs or for those of one caller."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio

from moa_mcp.journal import Journal
from moa_mcp.middleware import Amount
from moa_mcp.runs.day_spending import DailyCap, DaySpending

_LOOK_S = 1.0
"""Seconds after which a waiting run looks again: news may be lost, and the death of a process is none."""


class DayCap(DailyCap):
    """A daily cap. The journal checks all daily caps of a run in one statement: none is exceeded, even for a moment."""

    def __init__(self, limit: int, spending: DaySpending, journal: Journal, caller: str | None = None) -> None:
        """Create a cap for the runs of a caller; None for all runs."""
        name = "max_cost_usd_per_day" if caller is None else f"max_cost_usd_per_day of {caller}"
        super().__init__(name, limit, of_caller=caller is not None)
        self.turn = anyio.Lock()
        """Held by the run that waits for its first amount."""
        self._spending = spending
        self._journal = journal
        self._caller = caller

    def moves(self, run_id: str) -> None:
        super().moves(run_id)
        self._spending.opened(run_id)

    def day_of(self, run_id: str) -> str:
        """Return the day that a run counts for."""
        return self._spending.day_of(run_id)

    async def commit(self, run_id: str, amount: Amount) -> DailyCap | None:
        return await self._spending.commit(run_id, amount)

    def correct(self, run_id: str, amount: Amount, *, ended: int = 0) -> None:
        self._spending.correct(run_id, amount)
        if ended:
            self.in_flight -= ended
            self.eases()

    def leave(self, run_id: str) -> None:
        super().leave(run_id)
        self._spending.leave(run_id)

    def _of(self, run_id: str, amount: Amount) -> int:
        return self._spending.of(run_id, amount)

    async def can_ease(self, run_id: str) -> bool:
        """Whether something can be released without this run. Of two runs that hold amounts, only one may wait."""
        held = await self._journal.held(self.day_of(run_id), caller=self._caller)
        elsewhere = any(each > run_id and each not in self._spending for each in held)
        return elsewhere or await super().can_ease(run_id)

    async def eased(self, changes: int) -> None:
        async with self._journal.news("spending") as news:
            with anyio.move_on_after(_LOOK_S):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_heard, news, tasks.cancel_scope)
                    await super().eased(changes)
                    tasks.cancel_scope.cancel()


async def _heard(news: AsyncIterator[object], scope: anyio.CancelScope) -> None:
    """Cancel the scope at the next news."""
    await anext(news)
    scope.cancel()
