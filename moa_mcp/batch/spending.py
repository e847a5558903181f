"""The budget of a batch: each run holds what it may cost before it starts, so that the sum never exceeds the budget.

Amounts are in billionths of a US dollar. It works the same wherever the runs are executed, since each run has what it
holds as its own budget.
"""

from __future__ import annotations

import anyio


class BatchBudget:
    """What the runs of a batch have spent and hold. Runs that wait for others are served in order."""

    def __init__(self, limit: int | None, spent: int = 0) -> None:
        """`limit` is None for a batch without a budget; `spent` is what earlier starts spent."""
        self.limit = limit
        self.spent = spent
        self._held = 0
        self._turn = anyio.Lock()
        self._eased = anyio.Event()

    @property
    def left(self) -> int:
        """What is neither spent nor held; negative if a run cost more than expected. Zero without a budget."""
        return 0 if self.limit is None else self.limit - self.spent - self._held

    async def hold(self, whole: int, least: int) -> int | None:
        """Hold `whole`, the worst-case cost of a run, as soon as it fits.

        If no other run holds anything and it does not fit, hold the rest, which must be at least `least`. Returns the
        held amount, or None if there is too little left.
        """
        async with self._turn:
            while self.limit is not None:
                left = self.left
                if left < whole and self._held:
                    await self._eased.wait()
                    continue
                if left < min(whole, least):
                    return None
                self._held += min(whole, left)
                return min(whole, left)
        return whole

    def settle(self, held: int, spent: int) -> None:
        """Replace what a run held by what it spent."""
        self.spent += spent
        if self.limit is not None:
            self._held -= held
            self._eased.set()
            self._eased = anyio.Event()
