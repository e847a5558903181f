"""The daily cap that all processes with the same journal share. The journal has the clock for its days."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import anyio

from moa_mcp.journal import Committed, Journal
from moa_mcp.journal.news import News
from moa_mcp.middleware import Amount, Cap, Others

_LOOK_S = 1.0
"""Seconds after which a waiting run looks again: news may be lost, and the death of a process is none."""


@dataclass(slots=True, eq=False)
class _Share:
    """What the journal knows about a run."""

    earlier: Callable[[str], Amount]
    """Returns what the run spent before a day."""
    day: str
    """The day that it counts for: until the journal has told it, the day on this computer."""
    told: bool = False
    """Whether the journal may have an amount or a place in line for it."""
    opened: bool = False
    """Whether it has got its first amount. From then on, it keeps its day and need not stand in line."""
    spent: int = 0
    """What it had spent on that day by its last commitment, in nanodollars."""
    others: Others = field(default_factory=Others)
    """What others had committed when it was refused."""


class DayCap(Cap):
    """A daily cap that all processes with the same journal share.

    The cost of a run counts for the day (UTC) on which this process started or resumed it. Runs get their first amount
    in order of arrival: those of a process one after the other, and the first of each process in one line with those of
    the other processes. So a run that needs much gets it when the active runs have ended, and smaller ones behind it
    wait no longer than that.
    """

    at_once = False

    def __init__(self, name: str, limit: int, journal: Journal) -> None:
        super().__init__(name, limit, shared=True)
        self._journal = journal
        self._shares: dict[str, _Share] = {}
        self._stale: set[str] = set()
        """Runs whose commitment here differs from the journal."""

    def join(
        self, run_id: str, earlier: Callable[[str], Amount], spent: Callable[[], Amount], *, resumed: bool
    ) -> None:
        """Add a run. `earlier` returns what it spent before a day (ISO date), `spent` what it has spent in all."""
        today = datetime.now(UTC).date().isoformat()
        self._shares[run_id] = _Share(earlier, today)
        self._committed.pop(run_id, None)
        self.enter(run_id, earlier(today), spent)
        if resumed:  # the journal may still hold amounts for it
            self.correct(run_id, spent())
            self._stale.add(run_id)

    def moves(self, run_id: str) -> None:
        super().moves(run_id)
        self._shares[run_id].opened = True

    def day_of(self, run_id: str) -> str:
        """Return the day that a run counts for."""
        return self._shares[run_id].day

    async def commit(self, run_id: str, amount: Amount) -> bool:
        await self.write()
        if self._of(run_id, amount) == self._committed.get(run_id):
            return True
        share = self._shares[run_id]
        try:
            committed = await self._put(run_id, self.measure(amount), share.day if share.opened else None, self.limit)
        except BaseException:  # whether the journal stored it is unknown
            self._stale.add(run_id)
            raise
        if committed.accepted:
            super().correct(run_id, amount)
        else:
            share.others = self._others_of(run_id, committed)
        return committed.accepted

    def correct(self, run_id: str, amount: Amount) -> None:
        if self._of(run_id, amount) != self._committed.get(run_id, 0):
            super().correct(run_id, amount)
            self._stale.add(run_id)

    def leave(self, run_id: str) -> None:
        super().leave(run_id)
        share = self._shares[run_id]
        before = share.earlier(share.day)
        share.earlier = lambda _: before  # its events are no longer needed
        if share.told:
            self._stale.add(run_id)  # its held amount and its place in line are released

    async def others(self, run_id: str) -> Others:
        return self._shares[run_id].others

    def _others_of(self, run_id: str, refused: Committed) -> Others:
        """Return what others have committed, with what the runs of this process have spent since they told it."""
        sharing = {each: spent() for each, spent in self._spent.items() if each != run_id}
        since = sum(self._of(each, spent) - self._shares[each].spent for each, spent in sharing.items())
        held = max(0, refused.held - since)
        return Others(refused.total - self._committed.get(run_id, 0) - held, held)

    async def can_ease(self, run_id: str) -> bool:
        """Whether something can be released without this run. Of two runs that hold amounts, only one may wait."""
        held = await self._journal.held(self.day_of(run_id))
        elsewhere = any(each > run_id and each not in self._spent for each in held)
        return elsewhere or await super().can_ease(run_id)

    async def eased(self, changes: int) -> None:
        async with self._journal.news("spending") as news:
            with anyio.move_on_after(_LOOK_S):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_heard, news, tasks.cancel_scope)
                    await super().eased(changes)
                    tasks.cancel_scope.cancel()

    async def write(self) -> None:
        """Store changed commitments in the journal."""
        while self._stale:
            run_id = self._stale.pop()
            share = self._shares[run_id]
            amount = self._committed.get(run_id, 0) + self._earlier[run_id]
            try:
                await self._put(run_id, amount, share.day if share.told else None)
            except BaseException:
                self._stale.add(run_id)
                raise

    async def _put(self, run_id: str, amount: int, day: str | None, limit: int | None = None) -> Committed:
        """Store the commitment of a run, with what it spent on earlier days."""
        share = self._shares[run_id]
        in_turn = limit is not None and not share.opened
        while True:
            now, spent = amount - self._earlier[run_id], self._spent.get(run_id)
            share.told, share.spent = True, now if spent is None else self._of(run_id, spent())
            held = now - share.spent
            done = await self._store(run_id, now, limit, held, day, in_turn=in_turn)
            if done.day != share.day:
                self._count_for(run_id, done.day)
            if done.spent > share.spent:
                self._count_again(run_id, done.spent - share.spent)
            if amount - self._earlier[run_id] == now:
                return done

    async def _store(
        self, run_id: str, now: int, limit: int | None, held: int, day: str | None, *, in_turn: bool
    ) -> Committed:
        return await self._journal.commit_spending(run_id, now, limit, held, day, in_turn=in_turn)

    def _count_for(self, run_id: str, day: str) -> None:
        """Count a run for another day, on which less of its cost may have been spent earlier."""
        share = self._shares[run_id]
        share.day = day
        self._count_again(run_id, self._earlier[run_id] - self.measure(share.earlier(day)))

    def _count_again(self, run_id: str, spent: int) -> None:
        """Count for its day what counted as spent earlier, by another day or by the clock of a computer."""
        self._committed[run_id] = self._committed.get(run_id, 0) + spent
        self._earlier[run_id] -= spent
        self._shares[run_id].spent += spent


async def _heard(news: AsyncIterator[News], scope: anyio.CancelScope) -> None:
    """Cancel the scope at the next news."""
    await anext(news)
    scope.cancel()
