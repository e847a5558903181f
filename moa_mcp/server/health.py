"""Whether this process should get requests, for load balancers. It knows no HTTP."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, TypeAlias

import anyio

from moa_mcp.errors import JournalError
from moa_mcp.runs import Runs

JOURNAL_S = 1.0
"""Seconds within which the journal must answer."""
BEHIND_S = 10.0
"""Maximum seconds for which the journal may store nothing."""
_FRESH_S = 1.0
"""Seconds for which an answer of the journal, and whether a pipeline can run, are remembered."""
_NO_RUN = "-"
"""No run has this ID: reading its record costs one lookup."""

UnreadyReason: TypeAlias = Literal["draining", "journal_unavailable", "journal_behind", "no_provider"]


class Unready(NamedTuple):
    """Why this process should get no requests now. The text has no paths, addresses or keys."""

    reason: UnreadyReason
    message: str


_DRAINING = Unready("draining", "this process is shutting down and starts no more runs")
_SILENT = Unready(
    "journal_unavailable",
    f"the journal did not answer within {JOURNAL_S:g} s, or not without an error; see the server's log",
)
_NO_PROVIDER = Unready("no_provider", "no pipeline has a usable provider; moa-mcp check shows what is missing")


class Health:
    """Answers whether this process is ready for requests. Frequent questions share one look at the journal."""

    def __init__(self, runs: Runs, can_run: Callable[[], Awaitable[bool]]) -> None:
        """`can_run` returns whether any pipeline has a usable provider."""
        self._runs = runs
        self._can_run = can_run
        self._looking = anyio.Lock()
        self._looked_at = -_FRESH_S
        self._found: Unready | None = None

    async def unready(self) -> Unready | None:
        """Return why this process is not ready; None if it is."""
        if self._runs.draining:
            return _DRAINING
        async with self._looking:
            if time.monotonic() - self._looked_at >= _FRESH_S:
                self._found = await self._look()
                self._looked_at = time.monotonic()
        return self._found

    async def _look(self) -> Unready | None:
        if not await self._journal_answers():
            return _SILENT
        age_s = self._runs.journal.unwritten_s
        if age_s > BEHIND_S:
            return Unready("journal_behind", f"the journal has stored nothing for {age_s:.0f} s; see the server's log")
        return None if await self._can_run() else _NO_PROVIDER

    async def _journal_answers(self) -> bool:
        try:
            with anyio.fail_after(JOURNAL_S):
                await self._runs.journal.record(_NO_RUN)
        except (TimeoutError, JournalError):
            return False
        return True
