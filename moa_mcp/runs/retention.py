"""Old runs are forgotten in the background, by a process that runs some."""

from __future__ import annotations

import logging
import time

import anyio

from moa_mcp.config import JournalSettings
from moa_mcp.errors import JournalError
from moa_mcp.journal import Journal

FIRST_S = 10.0
"""Seconds after the first run of a process began: what it is there for comes first."""
_AGAIN_S = 3600.0
_DAY_S = 86_400.0
_LAST_S = 1.0
"""Seconds that a process which ends sooner takes for it, such as a question at the command line."""

_log = logging.getLogger(__name__)


class Retention:
    """Forgets what the configuration says is too old or too much, once a run began, and hourly from then on."""

    def __init__(self, settings: JournalSettings, journal: Journal) -> None:
        days, megabytes = settings.retention_days, settings.retention_mb
        self._age_s = None if days == "forever" else days * _DAY_S
        self._bytes = None if megabytes is None else megabytes * 10**6
        self._journal = journal
        self.due = anyio.Event()
        """Set when a run begins; until then the journal is left alone."""
        self._applied = self._age_s is None and self._bytes is None
        """Whether all is done that must be before the process ends."""

    async def apply(self) -> None:
        """Forget for as long as the process goes on."""
        if self._applied:
            return
        await self.due.wait()
        await anyio.sleep(FIRST_S)
        while True:
            self._applied = True
            await self._once()
            await anyio.sleep(_AGAIN_S)

    async def end(self) -> None:
        """Forget now, in a process that has run something and ends before it was time."""
        if self.due.is_set() and not self._applied:
            with anyio.move_on_after(_LAST_S):
                await self._once()

    async def _once(self) -> None:
        before = None if self._age_s is None else time.time() - self._age_s
        try:
            gone = await self._journal.forget(older_than=before, beyond_bytes=self._bytes)
        except JournalError as error:  # what is to be written finds out, too, and says so
            _log.warning("%s", error)
            return
        if gone:
            _log.info("%d runs were forgotten, as retention_days and retention_mb say", gone)
