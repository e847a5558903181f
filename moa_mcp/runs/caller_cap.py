"""The daily cap of one caller, over all processes with the same journal."""

from __future__ import annotations

import anyio

from moa_mcp.journal import Committed, Journal
from moa_mcp.middleware import Cap
from moa_mcp.runs.day_cap import DayCap

_LOOK_S = 0.5
"""Seconds after which a waiting run looks at what the caller's runs of other processes have spent."""


class CallerCap(DayCap):
    """The daily cap of a caller.

    The journal has no cap for a part of the runs of a day. So an amount is stored first, and taken back if the caller's
    runs then exceed the cap: of two processes, neither can exceed it, but both may take theirs back and try again.
    """

    def __init__(self, caller: str, limit: int, journal: Journal) -> None:
        super().__init__(f"max_cost_usd_per_day of {caller}", limit, journal)
        self._caller = caller
        self.turn = anyio.Lock()
        """Held by the run of the caller that waits for its first amount."""

    async def _store(
        self, run_id: str, now: int, limit: int | None, held: int, day: str | None, *, in_turn: bool
    ) -> Committed:
        del in_turn  # each process serves its own runs in order
        done = await self._journal.commit_spending(run_id, now, None, held, day)
        if limit is None or now <= self._committed.get(run_id, 0):
            return done
        total, holding = await self._journal.spending_of(self._caller, done.day)
        others = sum(amount for each, amount in holding.items() if each != run_id)
        if total <= limit:
            return done._replace(accepted=True, total=total, held=others)
        self._stale.add(run_id)
        await self.write()  # what it had before; that may have become less in the meantime
        before = self._committed.get(run_id, 0)
        return done._replace(accepted=False, total=total - now + before, held=others)

    async def eased(self, changes: int) -> None:
        # Not by news of spending: amounts that are stored and taken back are news, too, and runs would wake each other.
        with anyio.move_on_after(_LOOK_S):
            await Cap.eased(self, changes)

    async def can_ease(self, run_id: str) -> bool:
        if await Cap.can_ease(self, run_id):
            return True
        _, holding = await self._journal.spending_of(self._caller, self.day_of(run_id))
        return any(each > run_id and each not in self._spent for each in holding)
