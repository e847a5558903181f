"""Releases what the runs of dead processes hold under a daily cap. They can still be resumed.

A run that was cancelled by another process may hold something, too, if its own process died before it noticed.
"""

from __future__ import annotations

from datetime import UTC, datetime

import anyio

from moa_mcp.budget.worst_case import spent
from moa_mcp.errors import JournalDamaged
from moa_mcp.journal import Journal, Page
from moa_mcp.journal.damage import readable
from moa_mcp.journal.spending import Commitment
from moa_mcp.runs.record import prices_of
from moa_mcp.trace.replay import own
from moa_mcp.values import ACTIVE


class Abandoned:
    """The unfinished runs of a journal whose process died."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._unreadable: set[str] = set()
        """Runs whose events can't be read; all that they have committed counts as spent."""

    async def release(self, day: str) -> bool:
        """Release what abandoned runs hold on a day (ISO date, UTC). Return whether any did hold something.

        Calls in progress when their process died may have been billed. They count with their worst-case cost, which
        needs the prompts.
        """
        if not self._journal.keeps_texts:
            return False
        dead = set(await self._journal.held(day, dead=True)) - self._unreadable
        return any([await self._release(run_id, day) for run_id in dead])

    async def _release(self, run_id: str, day: str) -> bool:
        """Release what one run holds; an unfinished one is owned meanwhile, so that no other process resumes it."""
        try:
            record = await self._journal.record(run_id)
            if record is None or (record.status in ACTIVE and await self._journal.claim(run_id) is None):
                return False
            with anyio.CancelScope(shield=True):
                try:
                    amount = _spent_on(day, await self._journal.events(run_id))
                    await self._journal.commit_spending(Commitment(run_id, amount, day=day))
                finally:
                    await self._journal.release(run_id)  # no effect without a claim
        except JournalDamaged:
            self._unreadable.add(run_id)
            return False
        return True


def _spent_on(day: str, page: Page) -> int:
    """Return the nanodollars that a run spent since the beginning of a day."""
    with readable(page.record.run_id):
        return spent(own(page.events), prices_of(page.record), midnight(day)).nanodollars


def midnight(day: str) -> float:
    """Return the beginning of a day (ISO date, UTC), in seconds since the epoch."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
