"""The leases of the active runs of a process: renewed by a heartbeat; a run that loses its lease is stopped.

News of the journal tell at once that another process has cancelled a run; the heartbeat would find out later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping

import anyio

from moa_mcp.errors import JournalError
from moa_mcp.journal import Journal
from moa_mcp.journal.news import News
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
        self._begun = anyio.Event()

    def begun(self) -> None:
        """Note that a run has become active."""
        self._begun.set()

    async def hear(self) -> None:
        """Stop runs that other processes cancel, until cancelled. Without active runs, it does not listen."""
        while True:
            if not self._active:
                self._begun = anyio.Event()
                await self._begun.wait()
            try:
                await self._listen()
            except JournalError as error:
                _log.warning("%s", error)
                await anyio.sleep(RENEW_S)

    async def _listen(self) -> None:
        async with self._journal.news("cancelled") as news:
            while self._active:
                found: News | None = None
                with anyio.move_on_after(RENEW_S):
                    found = await anext(news)
                if found is not None:
                    await self._check(self._active.values() if found.kind == "missed" else self._named(found))

    def _named(self, found: News) -> Iterable[Run]:
        run = self._active.get(found.run_id)
        return () if run is None else (run,)

    async def _check(self, runs: Iterable[Run]) -> None:
        """Stop those of the runs that are cancelled. It writes nothing, since writes are news to others."""
        for run in tuple(runs):
            record = await self._journal.record(run.run_id)
            if record is not None and record.status == "cancelled":
                run.cancel()

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
        mine = {run_id: run for run_id, run in self._active.items() if not run.followed}
        try:
            for run_id in mine.keys() - await self._journal.renew(tuple(mine)):
                record = await self._journal.record(run_id)
                mine[run_id].cancel_requested = record is not None and record.status == "cancelled"
                mine[run_id].scope.cancel()
        except JournalError as error:  # the next call of each run raises and reports it
            _log.warning("%s", error)
            return
        self._renewed = now
