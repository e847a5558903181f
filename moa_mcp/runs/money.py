"""What runs may cost: the purses of a process, and the budget that each run gets from them, in its turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

import anyio

from moa_mcp.budget.worst_case import RunTariff, nanodollars, spent
from moa_mcp.config import BudgetSettings
from moa_mcp.engine.execute import RunSpec
from moa_mcp.events import Event
from moa_mcp.journal import Journal
from moa_mcp.middleware import Amount, Budget, Others, Purse, TokenPurse
from moa_mcp.planning.estimate import Prices
from moa_mcp.runs.order import Opening
from moa_mcp.trace.replay import own

_LOOK_S, _SLOWER, _MOST_LOOK_S = 0.1, 1.5, 2.0
"""Seconds between looks at what the runs of other processes hold: at first, how much more each time, and at most."""


class DayPurse(Purse):
    """A cap that all processes share that keep their runs in one journal.

    What a run spends counts for the day (UTC) on which this process began to drive it.
    """

    at_once = False

    def __init__(self, name: str, cap: int, journal: Journal) -> None:
        super().__init__(name, cap, shared=True)
        self._journal = journal
        self._days: dict[str, str] = {}
        self._stale: set[str] = set()
        """Runs whose commitment here is not what is on record."""

    def enter(self, run_id: str, earlier: Amount, spent: Callable[[], Amount]) -> None:
        self._days[run_id] = datetime.now(UTC).date().isoformat()
        self._earlier[run_id] = self.measure(earlier)
        self._spent[run_id] = spent
        if spent() != earlier:  # it was left, and what was held for it then is on record
            self.correct(run_id, spent())
            self._stale.add(run_id)

    async def commit(self, run_id: str, amount: Amount) -> bool:
        await self.write()
        if not self._committed.get(run_id):  # it may have waited since yesterday
            self._days[run_id] = datetime.now(UTC).date().isoformat()
        now = self._of(run_id, amount)
        if now == self._committed.get(run_id):
            return True
        try:
            if not await self._put(run_id, now, self.cap):
                return False
        except BaseException:  # nobody knows what is on record
            self._stale.add(run_id)
            raise
        super().correct(run_id, amount)
        return True

    def correct(self, run_id: str, amount: Amount) -> None:
        if self._of(run_id, amount) != self._committed.get(run_id, 0):
            super().correct(run_id, amount)
            self._stale.add(run_id)

    def leave(self, run_id: str) -> None:
        super().leave(run_id)
        if run_id in self._committed:
            self._stale.add(run_id)  # nothing is held any more

    async def others(self, run_id: str) -> Others:
        day, own = self._days[run_id], self._committed.get(run_id, 0)
        on_record = await self._journal.held(day)
        held = sum(self._held(each) if each in self._spent else on_record[each] for each in on_record if each != run_id)
        return Others(await self._journal.spending(day) - own - held, held)

    async def write(self) -> None:
        """Put on record what is not what it was."""
        while self._stale:
            run_id = self._stale.pop()
            try:
                await self._put(run_id, self._committed.get(run_id, 0), None)
            except BaseException:
                self._stale.add(run_id)
                raise

    async def _put(self, run_id: str, now: int, cap: int | None) -> bool:
        spent = self._spent.get(run_id)
        held = 0 if spent is None else now - self._of(run_id, spent())
        return await self._journal.commit_spending(run_id, self._days[run_id], now, cap, held)


class Refusal(NamedTuple):
    """Why a run does not get its budget."""

    purse: Purse
    others: Others


class Purses:
    """The purses that the runs of a process share."""

    def __init__(self, settings: BudgetSettings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._began: WeakKeyDictionary[Budget, tuple[str, int]] = WeakKeyDictionary()
        """By budget: the day on which this process began to drive its run, and what that had spent before."""
        self._day: DayPurse | None = None
        self._server: Purse | None = None
        if settings.max_cost_usd_per_day is not None:
            self._day = DayPurse("max_cost_usd_per_day", nanodollars(settings.max_cost_usd_per_day), journal)
        if settings.max_cost_usd_per_server is not None:
            cap = nanodollars(settings.max_cost_usd_per_server)
            self._server = Purse("max_cost_usd_per_server", cap, shared=True)
        self._turn = anyio.Lock()

    def budget(self, spec: RunSpec, opening: Opening, tariff: RunTariff, prices: Prices) -> Budget:
        """Return the budget of a run, which has spent what its events say."""
        before = earlier(opening.history, prices)
        purses: list[Purse] = [TokenPurse("max_run_tokens", self._settings.max_run_tokens)]
        if spec.max_cost_usd is not None:
            purses.append(Purse("max_cost_usd", nanodollars(spec.max_cost_usd)))
        if self._server is not None:
            purses.append(self._server)
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        yesterday = before.plus(earlier(opening.history, prices, midnight), -1)
        if self._day is not None:
            purses.append(self._day)
        budget = Budget(spec.run_id, purses, tariff, before, opening.before.paid)
        for purse in purses:
            if purse.shared:
                purse.enter(spec.run_id, yesterday if purse is self._day else before, lambda: budget.spent)
        self._began[budget] = (now.date().isoformat(), yesterday.nanodollars)
        return budget

    async def open(
        self, budget: Budget, smallest: Amount, whole: Callable[[], Amount], waits: Callable[[str], None]
    ) -> Refusal | None:
        """Let a run begin that needs the `smallest` amount, with the `whole` that all its calls can take if it fits.

        What fits but for what other runs hold waits for them, first come, first served, and `waits` is told so.
        """
        if not any(purse.shared for purse in budget.purses):
            lacking = await budget.open(smallest)
            return Refusal(lacking, Others()) if lacking else None
        began = anyio.current_time()
        if self._turn.locked():
            waits(f"waiting for its turn under {' and '.join(str(each) for each in budget.purses if each.shared)}")
        try:
            async with self._turn:
                refusal = await self._opened(budget, smallest, whole(), waits, began)
        except BaseException:
            budget.close()
            raise
        if refusal is not None:
            budget.close()
        waits("")
        return refusal

    async def _opened(
        self, budget: Budget, smallest: Amount, whole: Amount, waits: Callable[[str], None], began: float
    ) -> Refusal | None:
        look_s = _LOOK_S
        waited_for: Refusal | None = None
        while True:
            changes = {purse: purse.changes for purse in budget.purses}
            refusal = await _tried(budget, smallest, whole)
            if refusal is None:
                if waited_for:
                    budget.waited(anyio.current_time() - began, *waited_for)
                return None
            purse, others = refusal
            enough = budget.spent.plus(smallest)
            if not purse.shared or not purse.has_room(budget.run_id, others, enough):
                return refusal
            if others.held:  # else it came free meanwhile
                waits(f"waiting for other runs, which hold {purse.shown(others.held)} of {purse}")
                waited_for = refusal
            with anyio.move_on_after(math.inf if purse.at_once else look_s):  # other processes tell nothing
                await purse.eased(changes[purse])
            look_s = min(_MOST_LOOK_S, look_s * _SLOWER)

    async def leave(self, run_id: str, budget: Budget | None) -> None:
        """Put on record what a run has spent today, for every process that has a cap for the day.

        One without a budget has spent nothing. Raises `JournalError`.
        """
        if self._day is not None:
            await self._day.write()
        elif budget is not None:
            day, before = self._began[budget]
            if budget.spent.nanodollars > before:
                await self._journal.commit_spending(run_id, day, budget.spent.nanodollars - before, None)


def earlier(history: Sequence[Event], prices: Prices, since: float = 0.0) -> Amount:
    """Return what a run spent itself from a moment on (seconds since the epoch), by its events."""
    by_model = {each.route: each.price for each in prices.values() if each.route is not None}
    return spent(own(history), by_model, since)


async def _tried(budget: Budget, smallest: Amount, whole: Amount) -> Refusal | None:
    """Open a budget for the whole run, or, where no other run holds anything, for what is left; return why not."""
    lacking = await budget.open(smallest, whole)
    if lacking is None:
        return None
    others = await lacking.others(budget.run_id)
    fits = lacking.has_room(budget.run_id, others, budget.most(whole))
    if lacking.shared and not others.held and not fits:
        lacking = await budget.open(smallest)
        if lacking is None:
            return None
        others = await lacking.others(budget.run_id)
    return Refusal(lacking, others)
