"""The leases of the active runs of a process: renewed by a heartbeat; a run that loses its lease is stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import anyio

from moa_mcp.errors import JournalError
from moa_mcp.journal import Journal
from moa_mcp.runs.run import Run

RENEW_S = 5.0
"""Heartbeat interval in seconds: a third of the duration of a lease."""

_log = logging.getLogger(__name__)
_END_S = 5.0


class Leases:
    """The leases of the runs that are active in this process."""

    def __init__(self, journal: Journal, active: Mapping[str, Run]) -> None:
        self._journal = journal
        self._active = active
        self._renewed = time.monotonic()

    async def keep(self) -> None:
        """Renew the leases until cancelled."""
        while True:
            await anyio.sleep(RENEW_S)
            await self._renew()

    async def checked(self, run_id: str) -> Run | None:
        """Return a run that is active here; None if another process claimed it while this process was suspended."""
        run = self._active.get(run_id)
        if run is not None and time.monotonic() - self._renewed > 2 * RENEW_S:
            await self._renew()
        if run is not None and run.scope.cancel_called:
            with anyio.move_on_after(_END_S):
                await run.ended.wait()
        return self._active.get(run_id)

    async def _renew(self) -> None:
        """Renew all leases. Stop runs that another process has claimed or cancelled."""
        now = time.monotonic()
        mine = {run_id: run for run_id, run in self._active.items() if run.recorded}
        try:
            for run_id in mine.keys() - await self._journal.renew(tuple(mine)):
                record = await self._journal.record(run_id)
                mine[run_id].cancel_requested = record is not None and record.status == "cancelled"
                mine[run_id].scope.cancel()
        except JournalError as error:  # the next call of each run raises and reports it
            _log.warning("%s", error)
            return
        self._renewed = now
