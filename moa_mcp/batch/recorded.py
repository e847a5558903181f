"""What a batch reads from the journal: its runs, their events, and when a run that is active elsewhere is released."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio

from moa_mcp.errors import JournalDamaged
from moa_mcp.events import Event
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.runs.lookup import ALL

_LOOK_S = 0.5


async def runs_of(journal: Journal, batch: str) -> AsyncIterator[RunRecord]:
    """Yield the runs of a batch. Raises `JournalError`."""
    for record in await journal.records(limit=ALL):
        if record.batch == batch:
            yield record


async def events_of(journal: Journal, run_id: str) -> tuple[Event, ...]:
    """Return the events of a run. Raises `JournalError`."""
    return await journal.events(run_id)


def concerns(error: JournalDamaged, run_id: str) -> bool:
    """Whether only that run is damaged, and not the whole journal."""
    return run_id in str(error)


async def released(journal: Journal, run_id: str) -> None:
    """Return when no process owns a run any longer. Raises `JournalError`."""
    while (record := await journal.record(run_id)) is not None and record.owned:  # noqa: ASYNC110  sends no news yet
        await anyio.sleep(_LOOK_S)
