"""Nothing is asked that a budget could not pay at its dearest.

It knows purses and amounts; what a call can cost, and what the rest of the run needs, is told to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import NamedTuple, Protocol

import anyio

from moa_mcp.errors import BudgetReached, CallError, JournalError, Unrecorded
from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion, Place


class Amount(NamedTuple):
    """What calls take."""

    nanodollars: int = 0
    """Billionths of a US dollar; what has no known price counts nothing here."""
    tokens: int = 0
    """Of prompts and completions."""

    def plus(self, other: Amount, times: int = 1) -> Amount:
        """Return what both take, the other one so many times."""
        return Amount(self.nanodollars + times * other.nanodollars, self.tokens + times * other.tokens)


class Purse:
    """A cap that one run has, or several of a process share.

    Each run commits what it has spent, holds for calls in flight, and reserves for its steps to come.
    """

    measure: Callable[[Amount], int] = attrgetter("nanodollars")
    at_once = True
    """Whether a commitment needs nobody to be waited for."""

    def __init__(self, name: str, cap: int) -> None:
        """Take the setting's name and its value, in what `measure` returns."""
        self.name = name
        self.cap = cap
        self.in_flight = 0
        self._earlier: dict[str, int] = {}
        """By run: what it had spent before it came to this purse."""
        self._committed: dict[str, int] = {}
        self._total = 0
        self.returned = 0
        """How many calls have come back."""
        self._came_back: anyio.Event | None = None

    def enter(self, run_id: str, earlier: Amount) -> None:
        """Let a run spend from now on that has spent something `earlier`, from other purses or from this one."""
        self._earlier[run_id] = self.measure(earlier) - self._committed.get(run_id, 0)

    async def commit(self, run_id: str, amount: Amount) -> bool:
        """Replace what a run has committed, unless that would exceed the cap."""
        now = self._of(run_id, amount)
        more = now - self._committed.get(run_id, 0)
        if more > 0 and self._total + more > self.cap:
            return False
        self._committed[run_id] = now
        self._total += more
        return True

    def correct(self, run_id: str, amount: Amount) -> None:
        """Replace what a run has committed, whatever it is: it is spent, or it is less."""
        now = self._of(run_id, amount)
        self._total += now - self._committed.get(run_id, 0)
        self._committed[run_id] = now

    def _of(self, run_id: str, amount: Amount) -> int:
        return self.measure(amount) - self._earlier.get(run_id, 0)

    def of_others(self, run_id: str) -> int:
        """Return what all other runs have committed."""
        return self._total - self._committed.get(run_id, 0)

    def shown(self, measured: int) -> str:
        """Return an amount as a message shows it."""
        return f"${measured / 1e9:.6f}".rstrip("0").rstrip(".")

    def take(self) -> None:
        """Take note that a call goes out."""
        self.in_flight += 1

    def settle(self) -> None:
        """Take note that a call came back."""
        self.in_flight -= 1
        self.returned += 1
        if self._came_back is not None:
            self._came_back.set()
            self._came_back = None

    async def eased(self) -> None:
        """Return when the next call comes back."""
        if self._came_back is None:
            self._came_back = anyio.Event()
        await self._came_back.wait()


class TokenPurse(Purse):
    """A cap in tokens, which holds for what has no price, too."""

    measure: Callable[[Amount], int] = attrgetter("tokens")

    def shown(self, measured: int) -> str:
        return f"{measured} tokens"


class Tariff(Protocol):
    """What calls cost, and what a run needs."""

    def dearest(self, call: Call) -> Amount:
        """Return the most that a call can take. Raises `Unpriced` where that is not known and must be."""
        ...

    def bill(self, ended: Completion | CallError, held: Amount) -> Amount:
        """Return what a call took; where nobody can know, what was held for it."""
        ...

    def needed(self, step: int) -> int:
        """Return how many calls a step can't do without."""
        ...

    def reserves(self, step: int, answers: int | None) -> Iterable[Amount]:
        """Yield what the steps after one need at their dearest, if it is asked for so many answers, or for all.

        First for all of them in their smallest form, then with ever fewer layers, at last for the last one alone.
        """
        ...


class Budget:
    """What one run has spent and holds, and the purses that it must fit into."""

    def __init__(
        self,
        run_id: str,
        purses: Sequence[Purse],
        tariff: Tariff,
        spent: Amount | None = None,
        answered: Iterable[Place] = (),
    ) -> None:
        """Begin with what was `spent` before, on the calls that were `answered` among others."""
        self.purses = purses
        self._run_id = run_id
        self._tariff = tariff
        self._spent = spent or Amount()
        self._held = Amount()
        self._reserved = Amount()
        self._asked: defaultdict[int, set[int]] = defaultdict(set)
        for place in answered:
            self._asked[place.step].add(place.number)
        self._later: dict[int, Amount] = {}
        """By step: what those after it need at their dearest, if all of it is asked."""
        self._turn = anyio.Lock(fast_acquire=True)
        self._at_once = all(purse.at_once for purse in purses)

    @property
    def spent(self) -> Amount:
        """What the run has taken so far."""
        return self._spent

    async def open(self, smallest: Amount) -> Purse | None:
        """Reserve the smallest form of the run; return the purse that has no room for it."""
        lacking = await self._commit(self._spent.plus(smallest))
        self._reserved = Amount() if lacking else smallest
        return lacking

    async def admit(self, call: Call) -> Amount:
        """Return what is held for a call, once it fits.

        What does not fit waits while calls are in flight that may turn out cheaper than what is held for them.

        Raises:
            BudgetReached: it will not fit.

        """
        hold = self._tariff.dearest(call)
        if self._at_once and not self._turn.locked() and await self._fit(call, hold) is None:
            return hold  # mostly it fits, and a turn costs more than all of this
        async with self._turn:  # first come, first served
            while True:
                returned = [purse.returned for purse in self.purses]
                lacking = await self._fit(call, hold)
                if lacking is None:
                    return hold
                if lacking.returned != returned[self.purses.index(lacking)]:
                    continue  # it came back while another process's spending was looked up
                if not lacking.in_flight:
                    raise BudgetReached(self._why(lacking, hold))
                await lacking.eased()

    def settle(self, hold: Amount, ended: Completion | CallError | None) -> None:
        """Replace what was held for a call by what it took; one that was stopped may have been paid in full."""
        self._held = self._held.plus(hold, -1)
        self._spent = self._spent.plus(hold if ended is None else self._tariff.bill(ended, hold))
        self._correct()
        for purse in self.purses:
            purse.settle()

    def close(self) -> None:
        """Reserve nothing any more."""
        self._reserved = Amount()
        self._correct()

    async def _fit(self, call: Call, hold: Amount) -> Purse | None:
        """Commit to a call if it fits, else return the purse that is too small."""
        lacking: Purse | None = None
        held = self._held.plus(hold)
        for reserve in self._reserves(call):
            lacking = await self._commit(self._spent.plus(held).plus(reserve))
            if lacking is None:
                self._asked[call.place.step].update(_numbers(call))
                self._held, self._reserved = held, reserve
                for purse in self.purses:
                    purse.take()
                break
        return lacking

    def _reserves(self, call: Call) -> Iterator[Amount]:
        """Yield what could be kept for later steps, if the call is made: the first that fits is."""
        step = call.place.step
        if step not in self._later:
            self._later[step] = next(iter(self._tariff.reserves(step, None)))
        yield self._later[step]  # mostly it fits
        answers = len(self._asked[step].union(_numbers(call)))
        expendable = answers > self._tariff.needed(step)  # samples are left out before layers are
        yield from islice(self._tariff.reserves(step, answers), 1 if expendable else None)

    async def _commit(self, amount: Amount) -> Purse | None:
        for purse in self.purses:
            if not await purse.commit(self._run_id, amount):
                self._correct()
                return purse
        return None

    def _correct(self) -> None:
        committed = self._spent.plus(self._held).plus(self._reserved)
        for purse in self.purses:
            purse.correct(self._run_id, committed)

    def _why(self, purse: Purse, hold: Amount) -> str:
        parts = {
            "spent": self._spent,
            "held for calls under way": self._held,
            "reserved for the steps to come": self._reserved,
        }
        measured = {what: purse.measure(amount) for what, amount in parts.items()}
        told = [f"{purse.shown(amount)} {what}" for what, amount in measured.items() if amount]
        others = purse.of_others(self._run_id)
        told += [f"{purse.shown(others)} committed by other runs"] if others else []
        return (
            f"{purse.name} = {purse.shown(purse.cap)} leaves too little ({', '.join(told) or 'nothing spent yet'}): "
            f"this call may take up to {purse.shown(purse.measure(hold))}"
        )


def _numbers(call: Call) -> list[int]:
    """Return the calls of its step that a request answers."""
    return [place.number for place in call.places]


class Budgeted:
    """Holds the most that a call can cost while it is under way, and settles what it did cost."""

    def __init__(self, inner: Model, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    async def __call__(self, call: Call) -> Completion:
        try:
            hold = await self._budget.admit(call)
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
        return completion
