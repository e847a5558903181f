"""What runs may cost: the purses of a process, and the budget that each run gets from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from moa_mcp.budget import RunTariff, nanodollars, spent
from moa_mcp.config import Defaults
from moa_mcp.engine import RunSpec
from moa_mcp.estimate import Priced
from moa_mcp.journal import Journal
from moa_mcp.model import Amount, Budget, Purse, TokenPurse
from moa_mcp.replay import own
from moa_mcp.runs.order import Opening


class DayPurse(Purse):
    """A cap that all processes share that keep their runs in one journal.

    What a run spends counts for the day (UTC) on which this process began to drive it.
    """

    at_once = False

    def __init__(self, name: str, cap: int, journal: Journal) -> None:
        super().__init__(name, cap)
        self._journal = journal
        self._days: dict[str, str] = {}
        self._stale: set[str] = set()
        """Runs whose commitment here is less than it is on record."""

    def enter(self, run_id: str, earlier: Amount) -> None:
        self._days[run_id] = datetime.now(UTC).date().isoformat()
        self._earlier[run_id] = self.measure(earlier)

    async def commit(self, run_id: str, amount: Amount) -> bool:
        await self.write()
        if not await self._put(run_id, self._of(run_id, amount), self.cap):
            return False
        super().correct(run_id, amount)
        return True

    def correct(self, run_id: str, amount: Amount) -> None:
        super().correct(run_id, amount)
        self._stale.add(run_id)

    async def write(self) -> None:
        """Put on record what came out less than it was held for."""
        while self._stale:
            run_id = self._stale.pop()
            await self._put(run_id, self._committed[run_id], None)

    async def _put(self, run_id: str, now: int, cap: int | None) -> bool:
        return await self._journal.commit_spending(run_id, self._days[run_id], now, cap)


class Purses:
    """The purses that the runs of a process share."""

    def __init__(self, defaults: Defaults, journal: Journal) -> None:
        self._defaults = defaults
        self._journal = journal
        self._began: WeakKeyDictionary[Budget, tuple[str, int]] = WeakKeyDictionary()
        """By budget: the day on which this process began to drive its run, and what that had spent before."""
        self._day: DayPurse | None = None
        self._server: Purse | None = None
        if defaults.max_cost_usd_per_day is not None:
            self._day = DayPurse("max_cost_usd_per_day", nanodollars(defaults.max_cost_usd_per_day), journal)
        if defaults.max_cost_usd_per_server is not None:
            self._server = Purse("max_cost_usd_per_server", nanodollars(defaults.max_cost_usd_per_server))

    def budget(self, spec: RunSpec, opening: Opening, tariff: RunTariff, prices: Mapping[str, Priced]) -> Budget:
        """Return the budget of a run, which has spent what its events say."""
        by_model = {each.route: each.price for each in prices.values() if each.route is not None}
        history = own(opening.history)
        before = spent(history, by_model)
        purses: list[Purse] = [TokenPurse("max_run_tokens", self._defaults.max_run_tokens)]
        if spec.max_cost_usd is not None:
            purses.append(Purse("max_cost_usd", nanodollars(spec.max_cost_usd)))
        if self._server is not None:
            self._server.enter(spec.run_id, before)
            purses.append(self._server)
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        earlier = before.plus(spent(history, by_model, midnight), -1)
        if self._day is not None:
            self._day.enter(spec.run_id, earlier)
            purses.append(self._day)
        budget = Budget(spec.run_id, purses, tariff, before, opening.before.paid)
        self._began[budget] = (now.date().isoformat(), earlier.nanodollars)
        return budget

    async def leave(self, run_id: str, budget: Budget) -> None:
        """Put on record what a run has spent today, for every process that has a cap for the day.

        Raises `JournalError`.
        """
        if self._day is not None:
            await self._day.write()
            return
        day, earlier = self._began[budget]
        if budget.spent.nanodollars > earlier:
            await self._journal.commit_spending(run_id, day, budget.spent.nanodollars - earlier, None)
