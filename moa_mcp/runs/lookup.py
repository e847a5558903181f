"""Finds a run by what a user writes: an ID, the start of one, or ``last``. Every face uses it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection

from moa_mcp.errors import RunAmbiguous, RunNotFound
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.text.suggest import closest
from moa_mcp.values import Status

LAST = "last"
_PAGE = 500
"""Records that are read at once."""


async def every(
    journal: Journal,
    statuses: Collection[Status] | None = None,
    changed_since: float = 0.0,
    caller: str | None = None,
    batch: str | None = None,
) -> AsyncGenerator[RunRecord]:
    """Yield all records that match, newest first, read page by page. Raises `JournalError`."""
    page: tuple[RunRecord, ...] | None = None
    while page is None or len(page) == _PAGE:
        try:
            before = page[-1].run_id if page else None
            page = await journal.records(
                statuses=statuses,
                caller=caller,
                batch=batch,
                before=before,
                changed_since=changed_since,
                limit=_PAGE,
            )
        except RunNotFound:  # it was deleted meanwhile, and so were those before it: the oldest go first
            return
        for each in page:
            yield each


async def find_run(journal: Journal, given: str, *, shortest: int = 1, caller: str | None = None) -> RunRecord:
    """Return the run of an ID, of the start of one with at least `shortest` characters, or the newest run.

    With a `caller`, only the runs of that caller exist.

    Raises:
        RunNotFound: no run matches.
        RunAmbiguous: several runs have an ID that starts so.
        JournalError: the journal can't be read.

    """
    if given == LAST:
        newest = await journal.records(caller=caller, limit=1)
        if not newest:
            raise RunNotFound(LAST)
        return newest[0]
    record = await journal.record(given)
    if record is not None and caller in {None, record.caller}:
        return record
    found, others = list[RunRecord](), list[str]()
    async for each in every(journal, caller=caller):
        if len(given) >= shortest and each.run_id.startswith(given):
            found.append(each)
        else:
            others.append(each.run_id)
    if not found:
        raise RunNotFound(given, closest(given, others))
    if len(found) > 1:
        raise RunAmbiguous(given, [each.run_id for each in found])
    return found[0]
