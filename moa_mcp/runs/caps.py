"""The caps of a process, and the budget that each run gets under them. Runs that wait are served in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import anyio

from moa_mcp.budget.worst_case import RunTariff, nanodollars, spent
from moa_mcp.config import BudgetSettings
from moa_mcp.events import Event
from moa_mcp.journal import Journal
from moa_mcp.journal.spending import Commitment
from moa_mcp.middleware import Amount, Budget, Cap, Others, TokenCap
from moa_mcp.planning.estimate import Prices
from moa_mcp.runs.abandoned import Abandoned, midnight
from moa_mcp.runs.day_cap import DayCap
from moa_mcp.runs.day_spending import DaySpending
from moa_mcp.runs.record import StartPoint, StoredRun
from moa_mcp.runs.requests import Owner
from moa_mcp.trace.replay import own

AnyCap = TypeVar("AnyCap", bound=Cap)


class Refusal(NamedTuple):
    """The cap that a run does not fit."""

    cap: Cap
    others: Others


class Caps:
    """The caps that the runs of a process share."""

    def __init__(self, settings: BudgetSettings, journal: Journal) -> None:
        self._journal = journal
        self._earlier: WeakKeyDictionary[Budget, Callable[[str], Amount]] = WeakKeyDictionary()
        """By budget: returns what the run spent before a day, according to its earlier events."""
        self._resumed_at: WeakKeyDictionary[Budget, Amount] = WeakKeyDictionary()
        """By budget: what the run had spent in all before this process started or resumed it."""
        self._spending = DaySpending(journal)
        self._day: DayCap | None = None
        self._server: Cap | None = None
        self._callers: dict[str, DayCap] = {}
        self._abandoned = Abandoned(journal)
        self.use(settings)
        self._turn = anyio.Lock()

    def use(self, settings: BudgetSettings) -> None:
        """Use other settings from now on. The limit of a shared cap changes for active runs, too."""
        self._settings = settings
        per_day, per_server = settings.max_cost_usd_per_day, settings.max_cost_usd_per_server
        self._day = _capped(self._day, per_day, lambda most: DayCap(most, self._spending, self._journal))
        self._server = _capped(self._server, per_server, lambda most: Cap("max_cost_usd_per_server", most, shared=True))

    def budget(self, stored: StoredRun, start: StartPoint, tariff: RunTariff, prices: Prices) -> Budget:
        """Return the budget of a run. Its earlier events determine what it has already spent."""
        spec, before = stored.spec, earlier(start.history, prices)
        caps: list[Cap] = [TokenCap("max_run_tokens", self._settings.max_run_tokens)]
        if spec.max_cost_usd is not None:
            caps.append(Cap("max_cost_usd", nanodollars(spec.max_cost_usd)))
        if self._server is not None:
            caps.append(self._server)
        days = [each for each in (self._day, self._of_caller(stored.owner)) if each is not None]
        caps += days
        budget = Budget(spec.run_id, caps, tariff, before, start.paid_calls.paid)
        self._resumed_at[budget] = before
        self._earlier[budget] = earlier_on = partial(_before, start.history, prices, before)
        if self._server is not None:
            self._server.enter(spec.run_id, before, lambda: budget.spent)
        if days:
            self._spending.join(spec.run_id, earlier_on, lambda: budget.spent, days, resumed=bool(start.history))
        return budget

    def _of_caller(self, owner: Owner) -> DayCap | None:
        """Return the cap that the runs of a caller share; None if they have none."""
        if owner.max_cost_usd_per_day is None:
            return None
        limit = nanodollars(owner.max_cost_usd_per_day)
        cap = self._callers.setdefault(owner.name, DayCap(limit, self._spending, self._journal, owner.name))
        cap.limit = limit
        return cap

    async def open(
        self, budget: Budget, smallest: Amount, whole: Callable[[], Amount], waits: Callable[[str], None]
    ) -> Refusal | None:
        """Reserve the amount for a run: `whole`, for all its calls, if that fits; otherwise `smallest`.

        A run that does not fit only because of what other runs hold waits for them, first come, first served. `waits`
        is called with the reason, and with an empty text at the end. Returns the refusal, or None if the run may start.
        """
        if not any(cap.shared for cap in budget.caps):
            lacking = await budget.open(smallest)
            return Refusal(lacking, Others()) if lacking else None
        own = next((each for each in budget.caps if isinstance(each, DayCap) and each.of_caller), None)
        try:
            if own is None:
                refusal = await self._in_turn(budget, smallest, whole(), waits)
            else:
                refusal = await self._under(own, budget, smallest, whole(), waits)
        except BaseException:
            budget.close()
            raise
        if refusal is not None:
            budget.close()
        waits("")
        return refusal

    async def _under(
        self, own: DayCap, budget: Budget, smallest: Amount, whole: Amount, waits: Callable[[str], None]
    ) -> Refusal | None:
        """Wait for the cap of a caller in a line of its own, so that the runs of other callers do not wait, too."""
        if own.turn.locked():
            waits(f"waiting for its turn under {own}")
        async with own.turn:
            while True:
                changes = own.changes
                refusal = await self._in_turn(budget, smallest, whole, waits)
                if refusal is None or refusal.cap is not own or not _may_fit(refusal, budget, smallest):
                    return refusal
                waits(f"waiting for other runs, which hold {own.shown(refusal.others.held)} of {own}")
                await own.eased(changes)

    async def _in_turn(
        self, budget: Budget, smallest: Amount, whole: Amount, waits: Callable[[str], None]
    ) -> Refusal | None:
        began = anyio.current_time()
        if self._turn.locked():
            waits(f"waiting for its turn under {' and '.join(str(each) for each in budget.caps if each.shared)}")
        async with self._turn:
            return await self._opened(budget, smallest, whole, waits, began)

    async def _opened(
        self, budget: Budget, smallest: Amount, whole: Amount, waits: Callable[[str], None], began: float
    ) -> Refusal | None:
        waited_for: Refusal | None = None
        while True:
            changes = {cap: cap.changes for cap in budget.caps}
            refusal = await _tried(budget, smallest, whole)
            if refusal is None:
                if waited_for:
                    budget.waited(anyio.current_time() - began, *waited_for)
                return None
            cap, others = refusal
            of_day = cap if isinstance(cap, DayCap) else None
            if of_day and await self._abandoned.release(of_day.day_of(budget.run_id)):
                continue
            if (of_day and of_day.of_caller) or not _may_fit(refusal, budget, smallest):
                return refusal
            if others.held:
                waits(f"waiting for other runs, which hold {cap.shown(others.held)} of {cap}")
                waited_for = refusal
            else:  # it was released in the meantime, or a run of another process is the next
                waits(f"waiting for its turn under {cap}")
            await cap.eased(changes[cap])

    async def leave(self, run_id: str, budget: Budget | None) -> None:
        """Store what a run has spent today, for all processes with a daily cap.

        A run without a budget has spent nothing. Raises `JournalError`.
        """
        await self._spending.write()  # also what a refused run, which has no budget, held for a moment
        if budget is not None and not any(isinstance(each, DayCap) for each in budget.caps):
            await self._record(run_id, budget)

    async def _record(self, run_id: str, budget: Budget) -> None:
        """Store what a run without a daily cap has spent, for the day on which it ends."""
        spent, earlier_on = budget.spent.nanodollars, self._earlier[budget]
        guess = spent - earlier_on(datetime.now(UTC).date().isoformat()).nanodollars
        if not guess:
            return
        done = await self._journal.commit_spending(Commitment(run_id, guess))  # it has the clock, and what was before
        new = spent - self._resumed_at[budget].nanodollars
        amount = max(spent - earlier_on(done.day).nanodollars, done.spent + new)
        if amount != guess:
            await self._journal.commit_spending(Commitment(run_id, amount, day=done.day))


def _capped(cap: AnyCap | None, limit_usd: Decimal | None, new: Callable[[int], AnyCap]) -> AnyCap | None:
    """Return a shared cap with another limit; None without a limit."""
    if limit_usd is None:
        return None
    most = nanodollars(limit_usd)
    cap = cap or new(most)
    cap.limit = most
    return cap


def earlier(history: Sequence[Event], prices: Prices, since: float = 0.0) -> Amount:
    """Return what a run spent since a time (seconds since the epoch), without the part inherited by a fork."""
    by_model = {each.route: each.price for each in prices.values() if each.route is not None}
    return spent(own(history), by_model, since)


def _before(history: Sequence[Event], prices: Prices, in_all: Amount, day: str) -> Amount:
    """Return what a run that spent `in_all` spent before a day (ISO date, UTC)."""
    return in_all.plus(earlier(history, prices, midnight(day)), -1)


def _may_fit(refusal: Refusal, budget: Budget, smallest: Amount) -> bool:
    """Whether a run fits a cap when other runs release what they hold."""
    cap, others = refusal
    return cap.shared and cap.has_room(budget.run_id, others, budget.spent.plus(smallest))


async def _tried(budget: Budget, smallest: Amount, whole: Amount) -> Refusal | None:
    """Reserve the whole run; if no other run holds amounts and that does not fit, its smallest form."""
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
