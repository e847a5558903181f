"""Follows a run that a worker executes: its events and its streamed text arrive here as if it were executed here."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import anyio

from moa_mcp.errors import JournalError, RunNotFound
from moa_mcp.events import Emit, TextReceived, tee
from moa_mcp.journal import Journal
from moa_mcp.journal.news import News
from moa_mcp.runs.record import settle
from moa_mcp.runs.run import Run
from moa_mcp.runs.watching import CHANGES
from moa_mcp.values import ACTIVE, Place

_LOOK_S = 5.0
"""Seconds between two looks at the journal, in case news were lost."""
_AGAIN_S = 1.0
"""Seconds between two attempts to read the journal in an outage."""
_QUEUED = "waiting in the queue for a worker"

_log = logging.getLogger(__name__)


class Follower:
    """Follows one run until it has ended. If its worker dies, it is queued again, and so it is followed further."""

    def __init__(self, journal: Journal, run: Run, steps: int, watch: Emit | None, mark: int) -> None:
        """Take a recorded run with its number of steps; `mark` is the last event that it knows."""
        self._journal = journal
        self._run = run
        self._last = Place(steps, 1)
        self._watch = watch
        self._mark = mark
        self._tell = tee(run.tell, *((watch,) if watch else ()))

    async def follow(self) -> None:
        """Pass on what happens until the run has ended, or its scope is cancelled; then cancel it if that is wanted."""
        run = self._run
        with run.scope:
            await self._until_ended()
        if run.cancel_requested:
            with anyio.CancelScope(shield=True):
                await self._journal.cancel(run.run_id)
                await self._pass_on()

    async def _until_ended(self) -> None:
        while True:
            try:
                async with self._journal.news(*CHANGES, "text", run_id=self._run.run_id) as news:
                    while not await self._pass_on():
                        await self._hear(news)
            except RunNotFound:  # it was deleted
                return
            except JournalError as error:
                _log.warning("%s", error)
                await anyio.sleep(_AGAIN_S)
            else:
                return

    async def _pass_on(self) -> bool:
        """Pass on new events; return whether the run has ended."""
        page = await self._journal.events(self._run.run_id, self._mark)
        self._mark = page.mark
        for event in page.events:
            self._tell(event)
        if page.record.status not in ACTIVE:
            settle(self._run.trace, page.record)
            return True
        self._run.trace.status = page.record.status
        self._run.waits(_QUEUED if page.record.status == "queued" else "")
        return False

    async def _hear(self, news: AsyncIterator[News]) -> None:
        """Return when the journal may have more; until then, pass on streamed text."""
        with anyio.move_on_after(_LOOK_S):
            async for heard in news:
                if heard.kind != "text":
                    return
                if self._watch is not None:
                    self._tell(TextReceived(place=self._last, text=heard.text))
