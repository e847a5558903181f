"""Finds a run by what a user writes: an ID, the start of one, or ``last``. Every face uses it."""

from __future__ import annotations

from moa_mcp.errors import RunAmbiguous, RunNotFound
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.text.suggest import closest

LAST = "last"
ALL = 2**31 - 1
"""More runs than any journal holds."""


async def find_run(journal: Journal, given: str, *, shortest: int = 1, caller: str | None = None) -> RunRecord:
    """Return the run of an ID, of the start of one with at least `shortest` characters, or the newest run.

    With a `caller`, only the runs of that caller exist.

    Raises:
        RunNotFound: no run matches.
        RunAmbiguous: several runs have an ID that starts so.
        JournalError: the journal can't be read.

    """
    if given == LAST:
        newest = await records_of(journal, caller, limit=1)
        if not newest:
            raise RunNotFound(LAST)
        return newest[0]
    record = await journal.record(given)
    if record is not None and caller in {None, record.caller}:
        return record
    records = await records_of(journal, caller, limit=ALL)
    found = [each for each in records if len(given) >= shortest and each.run_id.startswith(given)]
    if not found:
        raise RunNotFound(given, closest(given, [each.run_id for each in records]))
    if len(found) > 1:
        raise RunAmbiguous(given, [each.run_id for each in found])
    return found[0]


async def records_of(journal: Journal, caller: str | None, *, limit: int = 1000) -> tuple[RunRecord, ...]:
    """Return the newest runs of a caller, or of all. Raises `JournalError`."""
    if caller is None:
        return await journal.records(limit=limit)
    return tuple([each for each in await journal.records(limit=ALL) if each.caller == caller][:limit])
