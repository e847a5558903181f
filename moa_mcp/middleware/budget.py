"""Sends a call only if the budget covers its worst-case cost.

This module knows caps and amounts. A `Tariff` supplies the cost of calls and the needs of the rest of the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Protocol

import anyio

from moa_mcp.budget.caps import Amount, Balance, Cap, Others
from moa_mcp.errors import BudgetReached, CallError, JournalError, Unrecorded
from moa_mcp.events import CallWaits, Emit
from moa_mcp.model import Model
from moa_mcp.values import Call, Completion, Place


class Tariff(Protocol):
    """The cost of calls and the needs of a run."""

    def worst_case(self, call: Call) -> Amount:
        """Return the worst-case cost of a call. Raises `Unpriced` if the price must be known and is not."""
        ...

    def bill(self, ended: Completion | CallError, held: Amount) -> Amount:
        """Return the actual cost of a call; if it is unknown, the amount that was held for it."""
        ...

    def needed(self, step: int) -> int:
        """Return the minimum number of calls of a step."""
        ...

    def reserves(self, step: int, answers: int | None) -> Iterable[Amount]:
        """Yield the worst-case cost of the later steps, given the number of answers of this one; None for all answers.

        The first amount covers all later steps in their smallest form, the next ones fewer and fewer layers, and the
        last one only the last layer.
        """
        ...

    def whole(self, finished: int) -> Amount:
        """Return the worst-case cost of all steps after the first `finished` ones."""
        ...


_NOTHING = Amount()
_NOTABLE_S = 1.0
"""Seconds from which waiting for other runs is noted."""


class Budget:
    """The spent and held amounts of one run, and the caps that limit it."""

    def __init__(
        self,
        run_id: str,
        caps: Sequence[Cap],
        tariff: Tariff,
        spent: Amount | None = None,
        answered: Iterable[Place] = (),
    ) -> None:
        """Start with the amount `spent` earlier; `answered` are the calls that already have an answer."""
        self.caps = caps
        self.run_id = run_id
        self._tariff = tariff
        self._spent = Balance(spent or _NOTHING)
        self._held = Balance(_NOTHING)
        self._reserved = _NOTHING
        self._granted = _NOTHING
        """What shared caps reserve for the run, needed or not. A waiting run reserves nothing, so active runs never
        wait for it."""
        self._asked: defaultdict[int, set[int]] = defaultdict(set)
        for place in answered:
            self._asked[place.step].add(place.number)
        self._later: dict[int, Amount] = {}
        """By step: worst-case cost of the later steps if all calls of the step are made."""
        self._turn = anyio.Lock(fast_acquire=True)
        self._at_once = all(cap.at_once for cap in caps)
        self._shares = any(cap.shared for cap in caps)
        self.note: str | None = None
        """A note about waiting for other runs, for the next answer."""

    @property
    def spent(self) -> Amount:
        """What the run has spent so far."""
        return self._spent.amount

    async def open(self, smallest: Amount, granted: Amount | None = None) -> Cap | None:
        """Reserve the smallest form of the run, in shared caps `granted`. Return the cap that is too small, or None."""
        most = self.most(smallest if granted is None else granted)
        lacking = await self._commit(self.spent.plus(smallest), most)
        if lacking is None:
            self._reserved, self._granted = smallest, most
            for cap in self.caps:
                cap.moves(self.run_id)
        return lacking

    def most(self, amount: Amount) -> Amount:
        """Return the total of the run if it spends this amount, limited by the run's own cap."""
        after = self.spent.plus(amount)
        limits = [cap.limit for cap in self.caps if not cap.shared and cap.counts_money]
        return after._replace(nanodollars=min([after.nanodollars, *limits]))

    async def admit(self, call: Call, waits: Callable[[str], None] | None = None) -> Amount:
        """Hold the worst-case cost of a call and return it, as soon as it fits.

        A call that does not fit waits while calls in flight may turn out cheaper, or other active runs may release what
        they hold.

        Raises:
            BudgetReached: it can't fit.

        """
        hold = self._tariff.worst_case(call)
        if call.spare:
            return await self._spare(call, hold)
        if self._at_once and not self._turn.locked() and await self._fit(call, hold) is None:
            return hold  # the usual case; taking a turn would cost more than the rest
        async with self._turn:  # first come, first served
            try:
                await self._admit_later(call, hold, waits)
            finally:
                for cap in self.caps:
                    cap.moves(self.run_id)
        return hold

    async def _admit_later(self, call: Call, hold: Amount, waits: Callable[[str], None] | None) -> None:
        began = anyio.current_time()
        while True:
            changes = {cap: cap.changes for cap in self.caps}
            lacking = await self._fit(call, hold)
            if lacking is None:
                return
            others = await lacking.others(self.run_id)
            if not lacking.in_flight and not (others.held and await lacking.can_ease(self.run_id)):
                raise BudgetReached(self._why(lacking, hold, others))
            if waits is not None:
                waits(f"{'calls in progress' if lacking.in_flight else 'other runs'} to leave room in {lacking}")
            for cap in self.caps:  # it holds amounts of all of them meanwhile
                cap.waits(self.run_id)
            await lacking.eased(changes[lacking])
            if others.held:
                self.waited(anyio.current_time() - began, lacking, others)

    async def _spare(self, call: Call, hold: Amount) -> Amount:
        """Hold the cost of a hedged request only if the budget also covers all calls of the later steps."""
        async with self._turn:
            later = self._tariff.whole(call.place.step)
            lacking = await self._commit(self._total(later, hold), self._granted)
            if lacking is not None:
                raise BudgetReached(self._why(lacking, hold, await lacking.others(self.run_id)))
            self._held.add(hold)
            for cap in self.caps:
                cap.in_flight += 1
            self._correct()
        return hold

    def waited(self, seconds: float, cap: Cap, others: Others) -> None:
        """Note that the run waited for the amounts of other runs."""
        if seconds > _NOTABLE_S:
            self.note = f"waited {seconds:.0f} s: other runs held {cap.shown(others.held)} of {cap}"

    def settle(self, hold: Amount, ended: Completion | CallError | None) -> None:
        """Replace the held amount of a call with its cost. A call that was stopped counts in full."""
        self._held.add(hold, -1)
        self._spent.add(hold if ended is None else self._tariff.bill(ended, hold))
        self._correct(ended=1)

    def close(self) -> None:
        """Release all reservations."""
        self._reserved = self._granted = _NOTHING
        self._correct()
        for cap in self.caps:
            cap.leave(self.run_id)

    async def _fit(self, call: Call, hold: Amount) -> Cap | None:
        """Commit the amount of a call; return the cap that is too small, or None if it fits."""
        step = call.place.step
        reserve = self._later[step] if step in self._later else self._enter(step)
        lacking = await self._commit(self._total(reserve, hold), self._granted)
        if lacking is not None:
            for reserve in self._smaller_reserves(call):
                lacking = await self._commit(self._total(reserve, hold), self._granted)
                if lacking is None:
                    break
            else:
                return lacking
        asked = self._asked[step]
        for place in call.places:
            asked.add(place.number)
        self._held.add(hold)
        self._reserved = reserve
        for cap in self.caps:
            cap.in_flight += 1
        return None

    def _enter(self, step: int) -> Amount:
        """Return the amount to reserve for the steps after one whose first call is made, if its calls all fit."""
        self._later[step] = reserve = next(iter(self._tariff.reserves(step, None)))
        if self._shares:  # release what the earlier steps did not spend
            self._granted = min(self._granted, self._total(self._tariff.whole(step - 1)))
        return reserve

    def _smaller_reserves(self, call: Call) -> Iterable[Amount]:
        """Return what can be reserved instead if not all calls of a step fit, in order of preference."""
        step = call.place.step
        answers = len(self._asked[step].union([place.number for place in call.places]))
        expendable = answers > self._tariff.needed(step)  # samples are skipped before layers
        return islice(self._tariff.reserves(step, answers), 1 if expendable else None)

    def _total(self, reserve: Amount, hold: Amount = _NOTHING) -> Amount:
        """Return what the run has spent, holds and reserves, with the amount of a further call."""
        spent, held = self._spent, self._held
        return Amount(
            spent.nanodollars + held.nanodollars + hold.nanodollars + reserve.nanodollars,
            spent.tokens + held.tokens + hold.tokens + reserve.tokens,
        )

    async def _commit(self, amount: Amount, granted: Amount) -> Cap | None:
        for cap in self.caps:
            try:
                lacking = await cap.commit(self.run_id, max(amount, granted) if cap.shared else amount)
            except BaseException:
                self._correct()
                raise
            if lacking is not None:
                self._correct()
                return lacking
        return None

    def _correct(self, ended: int = 0) -> None:
        """Correct the commitments under all caps, after `ended` calls have ended."""
        committed = self._total(self._reserved)
        for cap in self.caps:
            cap.correct(self.run_id, max(committed, self._granted) if cap.shared else committed, ended=ended)

    def _why(self, cap: Cap, hold: Amount, others: Others) -> str:
        parts = {
            "spent": self._spent.amount,
            "held for calls in progress": self._held.amount,
            "reserved for later steps": self._reserved,
        }
        measured = {what: cap.measure(amount) for what, amount in parts.items()}
        texts = [f"{cap.shown(amount)} {what}" for what, amount in measured.items() if amount]
        texts += cap.describe(others)
        return (
            f"{cap} is too low for this call, which may take up to {cap.shown(cap.measure(hold))} "
            f"({', '.join(texts) or 'nothing spent yet'})"
        )


class Budgeted:
    """Holds the worst-case cost of a call while it is in progress, then settles its actual cost."""

    def __init__(self, inner: Model, budget: Budget, emit: Emit) -> None:
        self._inner = inner
        self._budget = budget
        self._emit = emit

    async def __call__(self, call: Call) -> Completion:
        try:
            hold = await self._budget.admit(call, partial(self._waits, call))
        except JournalError as error:
            raise Unrecorded(str(error)) from error
        ended: Completion | CallError | None = None
        try:
            completion = ended = await self._inner(call)
        except CallError as error:
            ended = error
            raise
        finally:
            self._budget.settle(hold, ended)
        note, self._budget.note = self._budget.note, None
        return completion.noted(note) if note else completion

    def _waits(self, call: Call, reason: str) -> None:
        for place in call.places:
            self._emit(CallWaits(place=place, reason=reason))
