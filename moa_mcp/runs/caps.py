"""The caps of a process, and the budget that each run gets under them. Runs that wait are served in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import anyio

from moa_mcp.budget.worst_case import RunTariff, nanodollars, spent
from moa_mcp.config import BudgetSettings
from moa_mcp.engine.execute import RunSpec
from moa_mcp.events import Event
from moa_mcp.journal import Journal
from moa_mcp.middleware import Amount, Budget, Cap, Others, TokenCap
from moa_mcp.planning.estimate import Prices
from moa_mcp.runs.record import StartPoint
from moa_mcp.trace.replay import own

AnyCap = TypeVar("AnyCap", bound=Cap)

_LOOK_S, _SLOWER, _MOST_LOOK_S = 0.1, 1.5, 2.0
"""Polling of the amounts that other processes hold: first interval in seconds, growth factor, longest interval."""


class DayCap(Cap):
    """A daily cap that all processes with the same journal share.

    The cost of a run counts for the day (UTC) on which this process started or resumed it.
    """

    at_once = False

    def __init__(self, name: str, limit: int, journal: Journal) -> None:
        super().__init__(name, limit, shared=True)
        self._journal = journal
        self._days: dict[str, str] = {}
        self._stale: set[str] = set()
        """Runs whose commitment here differs from the journal."""

    def enter(self, run_id: str, earlier: Amount, spent: Callable[[], Amount]) -> None:
        self._days[run_id] = datetime.now(UTC).date().isoformat()
        self._earlier[run_id] = self.measure(earlier)
        self._spent[run_id] = spent
        if spent() != earlier:  # a resumed run: the journal may still hold amounts for it
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
            if not await self._put(run_id, now, self.limit):
                return False
        except BaseException:  # whether the journal stored it is unknown
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
            self._stale.add(run_id)  # its held amount is released

    async def others(self, run_id: str) -> Others:
        day, own = self._days[run_id], self._committed.get(run_id, 0)
        recorded = await self._journal.held(day)
        held = sum(self._held(each) if each in self._spent else recorded[each] for each in recorded if each != run_id)
        return Others(await self._journal.spending(day) - own - held, held)

    async def write(self) -> None:
        """Store changed commitments in the journal."""
        while self._stale:
            run_id = self._stale.pop()
            try:
                await self._put(run_id, self._committed.get(run_id, 0), None)
            except BaseException:
                self._stale.add(run_id)
                raise

    async def _put(self, run_id: str, now: int, limit: int | None) -> bool:
        spent = self._spent.get(run_id)
        held = 0 if spent is None else now - self._of(run_id, spent())
        return await self._journal.commit_spending(run_id, self._days[run_id], now, limit, held)


class Refusal(NamedTuple):
    """The cap that a run does not fit."""

    cap: Cap
    others: Others


class Caps:
    """The caps that the runs of a process share."""

    def __init__(self, settings: BudgetSettings, journal: Journal) -> None:
        self._journal = journal
        self._began: WeakKeyDictionary[Budget, tuple[str, int]] = WeakKeyDictionary()
        """By budget: the day on which this process started the run, and the nanodollars spent before that day."""
        self._day: DayCap | None = None
        self._server: Cap | None = None
        self.use(settings)
        self._turn = anyio.Lock()

    def use(self, settings: BudgetSettings) -> None:
        """Use other settings from now on. The limit of a shared cap changes for active runs, too."""
        self._settings = settings
        per_day, per_server = settings.max_cost_usd_per_day, settings.max_cost_usd_per_server
        self._day = _capped(self._day, per_day, lambda most: DayCap("max_cost_usd_per_day", most, self._journal))
        self._server = _capped(self._server, per_server, lambda most: Cap("max_cost_usd_per_server", most, shared=True))

    def budget(self, spec: RunSpec, start: StartPoint, tariff: RunTariff, prices: Prices) -> Budget:
        """Return the budget of a run. Its earlier events determine what it has already spent."""
        before = earlier(start.history, prices)
        caps: list[Cap] = [TokenCap("max_run_tokens", self._settings.max_run_tokens)]
        if spec.max_cost_usd is not None:
            caps.append(Cap("max_cost_usd", nanodollars(spec.max_cost_usd)))
        if self._server is not None:
            caps.append(self._server)
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        yesterday = before.plus(earlier(start.history, prices, midnight), -1)
        if self._day is not None:
            caps.append(self._day)
        budget = Budget(spec.run_id, caps, tariff, before, start.paid_calls.paid)
        for cap in caps:
            if cap.shared:
                cap.enter(spec.run_id, yesterday if cap is self._day else before, lambda: budget.spent)
        self._began[budget] = (now.date().isoformat(), yesterday.nanodollars)
        return budget

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
        began = anyio.current_time()
        if self._turn.locked():
            waits(f"waiting for its turn under {' and '.join(str(each) for each in budget.caps if each.shared)}")
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
            changes = {cap: cap.changes for cap in budget.caps}
            refusal = await _tried(budget, smallest, whole)
            if refusal is None:
                if waited_for:
                    budget.waited(anyio.current_time() - began, *waited_for)
                return None
            cap, others = refusal
            enough = budget.spent.plus(smallest)
            if not cap.shared or not cap.has_room(budget.run_id, others, enough):
                return refusal
            if others.held:  # otherwise it was released in the meantime
                waits(f"waiting for other runs, which hold {cap.shown(others.held)} of {cap}")
                waited_for = refusal
            with anyio.move_on_after(math.inf if cap.at_once else look_s):  # other processes send no signal
                await cap.eased(changes[cap])
            look_s = min(_MOST_LOOK_S, look_s * _SLOWER)

    async def leave(self, run_id: str, budget: Budget | None) -> None:
        """Store what a run has spent today, for all processes with a daily cap.

        A run without a budget has spent nothing. Raises `JournalError`.
        """
        if self._day is not None:
            await self._day.write()
        elif budget is not None:
            day, before = self._began[budget]
            if budget.spent.nanodollars > before:
                await self._journal.commit_spending(run_id, day, budget.spent.nanodollars - before, None)


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
