"""The leases of the runs that a process drives: kept by signs of life, and given up where another process has them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import anyio

from moa_mcp.errors import JournalError
from moa_mcp.journal import Journal
from moa_mcp.runs.run import Run

RENEW_S = 5.0
"""Seconds between signs of life of the runs that this process drives; a third of the journal's lease."""

_log = logging.getLogger(__name__)
_LAST_WORDS_S = 5.0


class Leases:
    """Those of the runs that are under way in this process."""

    def __init__(self, journal: Journal, under_way: Mapping[str, Run]) -> None:
        self._journal = journal
        self._under_way = under_way
        self._renewed = time.monotonic()

    async def keep(self) -> None:
        """Renew them for as long as the process goes on."""
        while True:
            await anyio.sleep(RENEW_S)
            await self._renew()

    async def checked(self, run_id: str) -> Run | None:
        """Return a run that is under way here, unless another process took it over while this one was stopped."""
        run = self._under_way.get(run_id)
        if run is not None and time.monotonic() - self._renewed > 2 * RENEW_S:
            await self._renew()
        if run is not None and run.scope.cancel_called:
            with anyio.move_on_after(_LAST_WORDS_S):
                await run.ended.wait()
        return self._under_way.get(run_id)

    async def _renew(self) -> None:
        """Renew all; stop the runs that are another's now, or were cancelled by another."""
        now = time.monotonic()
        mine = {run_id: run for run_id, run in self._under_way.items() if run.on_record}
        try:
            for run_id in mine.keys() - await self._journal.renew(tuple(mine)):
                record = await self._journal.record(run_id)
                mine[run_id].asked_to_end = record is not None and record.status == "cancelled"
                mine[run_id].scope.cancel()
        except JournalError as error:  # the next call of each run finds out, and says so
            _log.warning("%s", error)
            return
        self._renewed = now
