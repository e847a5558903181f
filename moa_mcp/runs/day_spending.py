"""What the runs of a process have committed of the budgets of a day. The journal has the sums, and the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from msgspec import Struct

from moa_mcp.journal import Journal
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.middleware import Amount, Cap, Others


class DailyCap(Cap):
    """A cap that the journal checks, for all runs or for those of one caller."""

    at_once = False

    def __init__(self, name: str, limit: int, *, of_caller: bool) -> None:
        super().__init__(name, limit, shared=True)
        self.of_caller = of_caller
        self._others: dict[str, Others] = {}

    def refuse(self, run_id: str, others: Others) -> None:
        """Remember what other runs have committed, because of which a run was refused."""
        self._others[run_id] = others

    def eases(self) -> None:
        """Wake those that wait: a commitment became smaller."""
        self._change()

    async def others(self, run_id: str) -> Others:
        return self._others[run_id]

    def leave(self, run_id: str) -> None:
        super().leave(run_id)
        self._others.pop(run_id, None)


class _Share(Struct, eq=False):
    """What a run has committed, in nanodollars."""

    earlier: Callable[[str], Amount]
    """Returns what the run spent before a day."""
    spent: Callable[[], Amount]
    """Returns what the run has spent in all."""
    caps: tuple[DailyCap, ...]
    day: str
    """The day that it counts for: until the journal has told it, the day on this computer."""
    before: int
    """What it spent before that day."""
    committed: int | None = None
    """None until it has got its first amount."""
    reported: int = 0
    """What it had spent on that day by its last commitment."""
    known: bool = False
    """Whether the journal may have an amount or a place in line for it."""
    opened: bool = False
    """Whether it has got its first amount here. From then on, it keeps its day and need not stand in line."""
    left: bool = False


class DaySpending:
    """Commits the amounts of runs in the journal, under all their daily caps at once.

    The cost of a run counts for the day (UTC) on which this process started or resumed it. Runs get their first amount
    in order of arrival: those of a process one after the other, and the first of each process in one line with those of
    the other processes. So a run that needs much gets it when the active runs have ended, and smaller ones behind it
    wait no longer than that.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._shares: dict[str, _Share] = {}
        self._stale: set[str] = set()
        """Runs whose commitment here differs from the journal."""

    def join(
        self,
        run_id: str,
        earlier: Callable[[str], Amount],
        spent: Callable[[], Amount],
        caps: Iterable[DailyCap],
        *,
        resumed: bool,
    ) -> None:
        """Add a run. `earlier` returns what it spent before a day (ISO date), `spent` what it has spent in all."""
        today = datetime.now(UTC).date().isoformat()
        share = _Share(earlier, spent, tuple(caps), today, earlier(today).nanodollars)
        self._shares[run_id] = share
        if resumed:  # the journal may still hold amounts for it
            share.committed = self._now(share) or None
            self._stale.add(run_id)

    def __contains__(self, run_id: str) -> bool:
        share = self._shares.get(run_id)
        return share is not None and not share.left

    def opened(self, run_id: str) -> None:
        """Mark a run as started."""
        self._shares[run_id].opened = True

    def day_of(self, run_id: str) -> str:
        """Return the day that a run counts for."""
        return self._shares[run_id].day

    def of(self, run_id: str, amount: Amount) -> int:
        """Return the part of an amount that a run spends on its day."""
        return amount.nanodollars - self._shares[run_id].before

    async def commit(self, run_id: str, amount: Amount) -> DailyCap | None:
        """Commit an amount, unless that exceeds a cap; return that cap. Of an amount that is committed, do nothing."""
        await self.write()
        share = self._shares[run_id]
        if self.of(run_id, amount) == share.committed:
            return None
        try:
            done = await self._put(run_id, amount.nanodollars, capped=True)
        except BaseException:  # whether the journal stored it is unknown
            self._stale.add(run_id)
            raise
        if done.accepted:
            self._set(share, self.of(run_id, amount))
            return None
        cap = next(each for each in share.caps if each.of_caller == done.by_caller)
        cap.refuse(run_id, self._others(share, cap, done))
        return cap

    def correct(self, run_id: str, amount: Amount) -> None:
        """Replace the commitment of a run without a check, because it is already spent or smaller."""
        share = self._shares[run_id]
        now = self.of(run_id, amount)
        if now != (share.committed or 0):
            self._set(share, now)
            self._stale.add(run_id)

    def leave(self, run_id: str) -> None:
        """Remove a run that has ended; its commitment counts as spent."""
        share = self._shares.get(run_id)
        if share is None or share.left:
            return
        share.left = True
        before = share.earlier(share.day)
        share.earlier = lambda _: before  # its events are no longer needed
        if share.known:
            self._stale.add(run_id)  # its held amount and its place in line are released
        elif run_id not in self._stale:
            del self._shares[run_id]

    async def write(self) -> None:
        """Store changed commitments in the journal."""
        while self._stale:
            run_id = self._stale.pop()
            share = self._shares[run_id]
            try:
                await self._put(run_id, (share.committed or 0) + share.before)
            except BaseException:
                self._stale.add(run_id)
                raise
            if share.left and run_id not in self._stale and self._shares.get(run_id) is share:
                del self._shares[run_id]

    def _others(self, share: _Share, cap: DailyCap, refused: Committed) -> Others:
        """Return what others have committed, with what the runs of this process have spent since they told it."""
        sharing = [each for each in self._shares.values() if cap in each.caps and each is not share and not each.left]
        held = max(0, refused.held - sum(self._now(each) - each.reported for each in sharing))
        return Others(refused.total - (share.committed or 0) - held, held)

    async def _put(self, run_id: str, amount: int, *, capped: bool = False) -> Committed:
        """Store the commitment of a run, with what it spent on earlier days."""
        share = self._shares[run_id]
        keeps_day = share.opened if capped else share.known
        limits = {each.of_caller: each.limit for each in share.caps} if capped else {}
        wanted = Commitment(
            run_id,
            0,
            limits.get(False),
            day=share.day if keeps_day else None,
            caller_cap=limits.get(True),
            in_turn=capped and not share.opened,
        )
        while True:
            now = amount - share.before
            share.known, share.reported = True, now if share.left else self._now(share)
            done = await self._journal.commit_spending(wanted._replace(nanodollars=now, held=now - share.reported))
            if done.day != share.day:
                _count_for(share, done.day)
            if done.spent > share.reported:
                _count_again(share, done.spent - share.reported)
            if amount - share.before == now:
                return done

    @staticmethod
    def _now(share: _Share) -> int:
        """Return what a run has spent on its day."""
        return share.spent().nanodollars - share.before

    @staticmethod
    def _set(share: _Share, now: int) -> None:
        eases = now < (share.committed or 0)
        share.committed = now
        for cap in share.caps if eases else ():
            cap.eases()


def _count_for(share: _Share, day: str) -> None:
    """Count a run for another day, on which less of its cost may have been spent earlier."""
    share.day = day
    _count_again(share, share.before - share.earlier(day).nanodollars)


def _count_again(share: _Share, spent: int) -> None:
    """Count for its day what counted as spent earlier, by another day or by the clock of a computer."""
    share.committed = (share.committed or 0) + spent
    share.before -= spent
    share.reported += spent
