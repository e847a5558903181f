"""Deletes old runs in the background, in a process that has started a run."""

from __future__ import annotations

import logging
import time

import anyio

from moa_mcp.config import JournalSettings
from moa_mcp.errors import JournalError
from moa_mcp.journal import Journal

FIRST_S = 10.0
"""Seconds between the first run of a process and the first deletion, so that the run is not slowed down."""
_AGAIN_S = 3600.0
_DAY_S = 86_400.0
_LAST_S = 1.0
"""Maximum seconds for the deletion in a process that ends earlier, such as a command."""

_log = logging.getLogger(__name__)


class Retention:
    """Deletes runs beyond `retention_days` and `retention_mb`, after the first run starts and then every hour."""

    def __init__(self, settings: JournalSettings, journal: Journal) -> None:
        self.use(settings)
        self._journal = journal
        self.due = anyio.Event()
        """Set when a run starts. Before that, nothing is deleted."""
        self._applied = False

    def use(self, settings: JournalSettings) -> None:
        """Use other limits from the next deletion on."""
        days, megabytes = settings.retention_days, settings.retention_mb
        self._age_s = None if days == "forever" else days * _DAY_S
        self._bytes = None if megabytes is None else megabytes * 10**6

    async def apply(self) -> None:
        """Delete old runs regularly, until cancelled."""
        await self.due.wait()
        await anyio.sleep(FIRST_S)
        while True:
            self._applied = True
            await self._once()
            await anyio.sleep(_AGAIN_S)

    async def end(self) -> None:
        """Delete old runs now, if a run has started but the first deletion was not due yet."""
        if self.due.is_set() and not self._applied:
            with anyio.move_on_after(_LAST_S):
                await self._once()

    async def _once(self) -> None:
        if self._age_s is None and self._bytes is None:
            return
        before = None if self._age_s is None else time.time() - self._age_s
        try:
            gone = await self._journal.forget(older_than=before, beyond_bytes=self._bytes)
        except JournalError as error:  # the next write raises and reports it
            _log.warning("%s", error)
            return
        if gone:
            _log.info("deleted %d runs (retention_days, retention_mb)", gone)
