"""What runs have committed on each day, in memory, and the line of runs that wait for room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from moa_mcp.journal import Committed, oldest_day


class Ledger:
    """The committed amounts of runs, in nanodollars by day and run."""

    def __init__(self, is_live: Callable[[str], bool]) -> None:
        """`is_live` returns whether a run has an owner."""
        self._is_live = is_live
        self._committed: dict[str, dict[str, int]] = {}
        self._held: dict[str, dict[str, int]] = {}
        """The part that is not spent yet."""
        self._line: dict[str, None] = {}
        """Runs that wait for room, in order of arrival."""

    def commit(
        self, run_id: str, nanodollars: int, cap: int | None, held: int, day: str | None, *, in_turn: bool
    ) -> Committed:
        """Set the committed amount of a run, like `Journal.commit_spending`."""
        day = day or datetime.now(UTC).date().isoformat()
        runs = self._committed.setdefault(day, {})
        before = runs.get(run_id, 0)
        spent = before - self._held.get(day, {}).get(run_id, 0)
        fits = cap is None or self.total(day) - before + nanodollars <= cap
        accepted = nanodollars <= before or (fits and not (in_turn and self._is_behind(run_id)))
        if accepted:
            runs[run_id] = nanodollars
            self._held.setdefault(day, {})[run_id] = held
            self._line.pop(run_id, None)
        elif in_turn:
            self._line.setdefault(run_id)
        others = (held for each, held in self.held(day).items() if each != run_id and self._is_live(each))
        return Committed(accepted, day, self.total(day), sum(others), spent)

    def _is_behind(self, run_id: str) -> bool:
        """Whether another run waits in line before this one."""
        live = (each for each in self._line if each == run_id or self._is_live(each))
        return next(live, run_id) != run_id

    def committed(self, day: str) -> Mapping[str, int]:
        """Return the committed amounts of a day by run."""
        return self._committed.get(day, {})

    def total(self, day: str) -> int:
        """Return the committed amount of all runs on a day."""
        return sum(self._committed.get(day, {}).values())

    def held(self, day: str) -> Mapping[str, int]:
        """Return the unspent part of the committed amount on a day, by run."""
        return {run_id: held for run_id, held in self._held.get(day, {}).items() if held}

    def forget(self) -> None:
        """Delete the days that no budget needs."""
        for day in [day for day in self._committed if day < oldest_day()]:
            del self._committed[day]
            self._held.pop(day, None)
