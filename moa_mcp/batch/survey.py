"""What the journal has of a batch before a start: which items have a result, and what was spent on all of them."""

from __future__ import annotations

from array import array
from contextlib import aclosing

from msgspec import Struct, field

from moa_mcp.batch.ended import concerns, left_to_run
from moa_mcp.batch.questions import Questions
from moa_mcp.errors import JournalDamaged
from moa_mcp.journal import Journal
from moa_mcp.planning.estimate import Prices
from moa_mcp.runs.caps import earlier
from moa_mcp.runs.lookup import every


def _positions() -> array[int]:
    return array("q")


class Survey(Struct):
    """The items of a batch by what the journal has of them."""

    to_run: array[int] = field(default_factory=_positions)
    """The positions of the items without a result, in order."""
    spent: int = 0
    """What all runs of the batch have spent so far, in billionths of a US dollar."""


async def survey(questions: Questions, journal: Journal, prices: Prices, *, retry_failed: bool) -> Survey:
    """Return what the journal has of a batch. Raises `JournalError`."""
    found = Survey()
    settled: set[str] = set()
    async with aclosing(every(journal, batch=questions.identity.batch)) as records:
        async for record in records:
            try:
                events = (await journal.events(record.run_id)).events
            except JournalDamaged as error:
                if not concerns(error, record.run_id):
                    raise
                settled.add(record.run_id)
                continue
            found.spent += earlier(events, prices).nanodollars
            if not left_to_run(record, events, retry_failed=retry_failed):
                settled.add(record.run_id)
    for position in range(len(questions)):
        if not settled or questions.identity.run_id(questions[position]) not in settled:
            found.to_run.append(position)
    return found
