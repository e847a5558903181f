"""Caps on what runs take, and what each run has committed of them: what `model.budgeted` holds calls to."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

import anyio


class Amount(NamedTuple):
    """What calls take."""

    nanodollars: int = 0
    """Billionths of a US dollar; what has no known price counts nothing here."""
    tokens: int = 0
    """Of prompts and completions."""

    def plus(self, other: Amount, times: int = 1) -> Amount:
        """Return what both take, the other one so many times."""
        return Amount(self.nanodollars + times * other.nanodollars, self.tokens + times * other.tokens)


class Others(NamedTuple):
    """What other runs have committed of a cap, as it measures."""

    spent: int = 0
    held: int = 0
    """For calls that are under way or yet to be made: some of it comes free, at the latest when those runs end."""


class Purse:
    """A cap that one run has, or several of a process share.

    Each run commits what it has spent, holds for calls in flight, and reserves for its steps to come.
    """

    measure: Callable[[Amount], int] = attrgetter("nanodollars")
    counts_money = True
    at_once = True
    """Whether a commitment needs nobody to be waited for."""

    def __init__(self, name: str, cap: int, *, shared: bool = False) -> None:
        """Take the setting's name and its value, in what `measure` returns, and whether runs share it."""
        self.name = name
        self.cap = cap
        self.shared = shared
        self.in_flight = 0
        self._earlier: dict[str, int] = {}
        """By run: what it had spent before it came to this purse."""
        self._committed: dict[str, int] = {}
        self._total = 0
        self._spent: dict[str, Callable[[], Amount]] = {}
        """By run that has not left: what it has spent by now."""
        self._moving: set[str] = set()
        """Runs that go on by themselves: they do not wait for others here."""
        self.changes = 0
        """How often a call came back, or a run committed less."""
        self._changed: anyio.Event | None = None

    def enter(self, run_id: str, earlier: Amount, spent: Callable[[], Amount]) -> None:
        """Let a run spend from now on that has spent something `earlier`, from other purses or from this one."""
        self._earlier[run_id] = self.measure(earlier) - self._committed.get(run_id, 0)
        self._spent[run_id] = spent

    def moves(self, run_id: str) -> None:
        """Take note that a run goes on, until it waits or leaves."""
        self._moving.add(run_id)

    def waits(self, run_id: str) -> None:
        """Take note that a run waits here for others."""
        self._moving.discard(run_id)

    def leave(self, run_id: str) -> None:
        """Take note that a run has ended: what it has committed is spent."""
        self._moving.discard(run_id)
        self._spent.pop(run_id, None)
        self._change()

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
        more = now - self._committed.get(run_id, 0)
        self._total += more
        self._committed[run_id] = now
        if more < 0:
            self._change()

    def _of(self, run_id: str, amount: Amount) -> int:
        return self.measure(amount) - self._earlier.get(run_id, 0)

    def _held(self, run_id: str) -> int:
        """Return what a run has committed beyond what it has spent."""
        spent = self._spent.get(run_id)
        return 0 if spent is None else self._committed.get(run_id, 0) - self._of(run_id, spent())

    async def others(self, run_id: str) -> Others:
        """Return what all other runs have committed."""
        held = sum(self._held(each) for each in self._spent if each != run_id)
        return Others(self._total - self._committed.get(run_id, 0) - held, held)

    def has_room(self, run_id: str, others: Others, amount: Amount) -> bool:
        """Whether a run could commit an amount if what others hold came free."""
        return others.spent + self._of(run_id, amount) <= self.cap

    def can_ease(self, run_id: str) -> bool:
        """Whether something will come back without the run: calls are in flight, or others go on."""
        return self.in_flight > 0 or bool(self._moving - {run_id})

    def shown(self, measured: int) -> str:
        """Return an amount as a message shows it."""
        return f"${measured / 1e9:.6f}".rstrip("0").rstrip(".")

    def __str__(self) -> str:
        return f"{self.name} = {self.shown(self.cap)}"

    def told(self, others: Others) -> list[str]:
        """Return what other runs have committed, in words."""
        parts = {"spent by other runs": others.spent, "held by other runs": others.held}
        return [f"{self.shown(amount)} {what}" for what, amount in parts.items() if amount]

    def take(self) -> None:
        """Take note that a call goes out."""
        self.in_flight += 1

    def settle(self) -> None:
        """Take note that a call came back."""
        self.in_flight -= 1
        self._change()

    def _change(self) -> None:
        self.changes += 1
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def eased(self, changes: int) -> None:
        """Return when a call came back, or a run committed less, since there were so many changes."""
        if self.changes == changes:
            self._changed = self._changed or anyio.Event()
            await self._changed.wait()


class TokenPurse(Purse):
    """A cap in tokens, which holds for what has no price, too."""

    measure: Callable[[Amount], int] = attrgetter("tokens")
    counts_money = False

    def shown(self, measured: int) -> str:
        return f"{measured} tokens"
