"""Waits for changes of a run in whichever process executes it: by the news of the journal, not by polling it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio

from moa_mcp.journal import Journal, RunRecord
from moa_mcp.journal.news import News, NewsKind

CHANGES: tuple[NewsKind, ...] = ("queued", "changed", "cancelled", "ended")
"""News that a run may have changed."""
LOOK_S = 1.0
"""Seconds after which a run is looked at without news: a process that dies sends none."""


@asynccontextmanager
async def changes(journal: Journal, run_id: str) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
    """Yield a function that returns when the run may have changed since this was entered, or since its last call."""
    async with journal.news(*CHANGES, run_id=run_id) as news:
        yield partial(_heard, news)


async def inactive(journal: Journal, run_id: str) -> RunRecord | None:
    """Return the record of a run when it has ended or is interrupted; None if it is not recorded."""
    async with journal.news("cancelled", "ended", run_id=run_id) as news:
        while (record := await journal.record(run_id)) is not None and record.is_active:
            await _heard(news)
        return record


async def _heard(news: AsyncIterator[News]) -> None:
    """Return at the next news, or when it is time to look."""
    with anyio.move_on_after(LOOK_S):
        await anext(news)
