"""What runs have committed on each day, in memory, and the lines of runs that wait for room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from moa_mcp.journal.spending import Commitment, Committed, oldest_day


class _Entry(NamedTuple):
    """What a run has committed on a day, in nanodollars."""

    caller: str
    committed: int = 0
    held: int = 0


class Ledger:
    """The committed amounts of runs, by day and run."""

    def __init__(self, is_live: Callable[[str], bool]) -> None:
        """`is_live` returns whether a run has an owner."""
        self._is_live = is_live
        self._days: dict[str, dict[str, _Entry]] = {}
        self._line: dict[str, str | None] = {}
        """Runs that wait for room, in order of arrival, with the caller under whose cap; None for the cap of all."""

    def commit(self, wanted: Commitment, caller: str) -> Committed:
        """Set the committed amount of a run of a caller, like `Journal.commit_spending`."""
        run_id, day = wanted.run_id, wanted.day or datetime.now(UTC).date().isoformat()
        runs = self._days.setdefault(day, {})
        before = runs.get(run_id, _Entry(caller))
        more = wanted.nanodollars - before.committed
        by_caller = more > 0 and bool(caller) and not self._fits(wanted, more, day, caller)
        accepted = more <= 0 or not (by_caller or not self._fits(wanted, more, day, None))
        whose = caller if by_caller else None
        if accepted:
            runs[run_id] = _Entry(caller, wanted.nanodollars, wanted.held)
            self._line.pop(run_id, None)
        elif wanted.in_turn and self._line.get(run_id, "") != whose:
            self._line.pop(run_id, None)
            self._line[run_id] = whose
        held = self.held(day, whose).items()
        others = sum(amount for each, amount in held if each != run_id and self._is_live(each))
        return Committed(accepted, day, self.total(day, whose), others, before.committed - before.held, by_caller)

    def _fits(self, wanted: Commitment, more: int, day: str, caller: str | None) -> bool:
        """Whether the cap of a caller, or that of all, allows a commitment that grows, and whether it is its turn."""
        cap = wanted.cap if caller is None else wanted.caller_cap
        if cap is None:
            return True
        return self.total(day, caller) + more <= cap and not (wanted.in_turn and self._is_behind(wanted.run_id, caller))

    def _is_behind(self, run_id: str, caller: str | None) -> bool:
        """Whether another run waits in line before this one."""
        line = (each for each, whose in self._line.items() if whose == caller)
        return next((each for each in line if each == run_id or self._is_live(each)), run_id) != run_id

    def total(self, day: str, caller: str | None = None) -> int:
        """Return what all runs, or those of a caller, have committed on a day."""
        entries = self._days.get(day, {}).values()
        return sum(each.committed for each in entries if caller in {None, each.caller})

    def held(self, day: str, caller: str | None = None) -> Mapping[str, int]:
        """Return the unspent part of the committed amount on a day, by run."""
        entries = self._days.get(day, {}).items()
        return {run_id: each.held for run_id, each in entries if each.held and caller in {None, each.caller}}

    def forget(self) -> None:
        """Delete the days that no budget needs."""
        for day in [day for day in self._days if day < oldest_day()]:
            del self._days[day]
