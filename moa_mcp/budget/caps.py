"""Caps on the spending of runs, and what each run has committed. `model.budgeted` enforces them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

import anyio

from moa_mcp.text.money import dollars


class Amount(NamedTuple):
    """An amount of money and tokens."""

    nanodollars: int = 0
    """Billionths of a US dollar. Calls without a known price count as zero."""
    tokens: int = 0
    """Prompt and completion tokens."""

    def plus(self, other: Amount, times: int = 1) -> Amount:
        """Return the sum with `times` times the other amount."""
        return Amount(self.nanodollars + times * other.nanodollars, self.tokens + times * other.tokens)


class Balance:
    """An amount that changes with each call."""

    __slots__ = ("nanodollars", "tokens")

    def __init__(self, amount: Amount) -> None:
        self.nanodollars, self.tokens = amount

    @property
    def amount(self) -> Amount:
        """What it is now."""
        return Amount(self.nanodollars, self.tokens)

    def add(self, amount: Amount, times: int = 1) -> None:
        """Add `times` times an amount."""
        self.nanodollars += times * amount.nanodollars
        self.tokens += times * amount.tokens


class Others(NamedTuple):
    """What other runs have committed under a cap."""

    spent: int = 0
    held: int = 0
    """For calls in progress or planned. Some of it is released, at the latest when those runs end."""


class Cap:
    """A cap for one run, or shared by several runs.

    Each run commits what it has spent, holds for calls in flight, and reserves for its later steps.
    """

    measure: Callable[[Amount], int] = attrgetter("nanodollars")
    counts_money = True
    at_once = True
    """Whether a commitment never waits."""

    def __init__(self, name: str, limit: int, *, shared: bool = False) -> None:
        """Create a cap for a setting. `limit` is in the unit of `measure`; `shared` is whether several runs use it."""
        self.name = name
        self.limit = limit
        self.shared = shared
        self.in_flight = 0
        """Number of calls that were sent and have not ended."""
        self._earlier: defaultdict[str, int] = defaultdict(int)
        """By run: the amount spent before it used this cap, which does not count here."""
        self._committed: defaultdict[str, int] = defaultdict(int)
        """By run: what it has committed, with that amount."""
        self._total = 0
        self._spent: dict[str, Callable[[], Amount]] = {}
        """By run that has not left: returns its spent amount."""
        self._moving: set[str] = set()
        """Runs that are not waiting here for others."""
        self.changes = 0
        """Counts settled calls and reduced commitments."""
        self._changed: anyio.Event | None = None

    def enter(self, run_id: str, earlier: Amount, spent: Callable[[], Amount]) -> None:
        """Add a run. `earlier` is the amount that it spent before, under this cap or another."""
        committed = self.measure(earlier)
        self._earlier[run_id] += committed - self._committed[run_id]
        self._committed[run_id] = committed
        self._spent[run_id] = spent

    def moves(self, run_id: str) -> None:
        """Mark a run as active."""
        self._moving.add(run_id)

    def waits(self, run_id: str) -> None:
        """Mark a run as waiting for others. The last active run wakes those that wait for it."""
        if run_id in self._moving:
            self._moving.remove(run_id)
            if not self._moving:
                self._wake()

    def leave(self, run_id: str) -> None:
        """Remove a run that has ended; its commitment counts as spent."""
        self._moving.discard(run_id)
        self._spent.pop(run_id, None)
        self._change()

    async def commit(self, run_id: str, amount: Amount) -> Cap | None:
        """Replace the commitment of a run, unless that exceeds the cap; return the cap that it exceeds, or None."""
        now = self.measure(amount)
        more = now - self._committed[run_id]
        if more > 0 and self._total + more > self.limit:
            return self
        self._committed[run_id] = now
        self._total += more
        return None

    def correct(self, run_id: str, amount: Amount, *, ended: int = 0) -> None:
        """Replace the commitment of a run without a check, because it is already spent or smaller.

        `ended` is the number of its calls that ended, which also wakes those that wait.
        """
        now = self.measure(amount)
        more = now - self._committed[run_id]
        self._total += more
        self._committed[run_id] = now
        self.in_flight -= ended
        if ended or more < 0:
            self._change()

    def _of(self, run_id: str, amount: Amount) -> int:
        return self.measure(amount) - self._earlier[run_id]

    def _held(self, run_id: str) -> int:
        """Return the part of a run's commitment that is not spent."""
        spent = self._spent.get(run_id)
        return 0 if spent is None else self._committed[run_id] - self.measure(spent())

    async def others(self, run_id: str) -> Others:
        """Return the commitments of all other runs."""
        held = sum(self._held(each) for each in self._spent if each != run_id)
        own = self._committed[run_id] - self._earlier[run_id]
        return Others(self._total - own - held, held)

    def has_room(self, run_id: str, others: Others, amount: Amount) -> bool:
        """Whether a run could commit an amount if other runs released what they hold."""
        return others.spent + self._of(run_id, amount) <= self.limit

    async def can_ease(self, run_id: str) -> bool:
        """Whether something can be released without this run: calls are in flight or other runs are active."""
        return self.in_flight > 0 or bool(self._moving - {run_id})

    def shown(self, measured: int) -> str:
        """Return an amount for a message."""
        return dollars(Decimal(measured) / 10**9)

    def __str__(self) -> str:
        return f"{self.name} = {self.shown(self.limit)}"

    def describe(self, others: Others) -> list[str]:
        """Return the commitments of other runs for a message."""
        parts = {"spent by other runs": others.spent, "held by other runs": others.held}
        return [f"{self.shown(amount)} {what}" for what, amount in parts.items() if amount]

    def _change(self) -> None:
        self.changes += 1
        if self._changed is not None:
            self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def eased(self, changes: int) -> None:
        """Return when a call was settled or a commitment reduced after `changes` was read."""
        if self.changes == changes:
            self._changed = self._changed or anyio.Event()
            await self._changed.wait()


class TokenCap(Cap):
    """A cap in tokens, which also covers models without a known price."""

    measure: Callable[[Amount], int] = attrgetter("tokens")
    counts_money = False

    def shown(self, measured: int) -> str:
        return f"{measured} tokens"
