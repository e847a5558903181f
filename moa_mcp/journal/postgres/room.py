"""Room for active runs of callers in PostgreSQL. Transactions that ask for that of one caller wait for each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from moa_mcp.errors import TooManyRuns
from moa_mcp.journal import RunRecord
from moa_mcp.journal.postgres.connections import Connection
from moa_mcp.journal.postgres.jobs import Beginning
from moa_mcp.journal.postgres.rows import plain, read
from moa_mcp.journal.postgres.selection import RecordFilter
from moa_mcp.journal.room import require_room
from moa_mcp.values import ACTIVE

_LOCK: Final = (
    "SELECT pg_advisory_xact_lock(hashtext('moa-mcp callers'), hashtext(caller)) FROM unnest(%s::text[]) AS caller"
)
_CALLER: Final = "SELECT caller FROM moa.runs WHERE run_id = %s"
_ALL: Final = 2**31 - 1


async def refused(connection: Connection, beginnings: Iterable[Beginning]) -> dict[str, TooManyRuns]:
    """Return why new runs find no room, by their tokens. Until the end of the transaction, others wait."""
    limited = [(each, each.max_runs) for each in beginnings if each.max_runs is not None and each.record.caller]
    active = await _active(connection, {each.record.caller for each, _ in limited})
    reasons: dict[str, TooManyRuns] = {}
    for each, max_runs in limited:
        of_caller = active[each.record.caller]
        try:
            require_room(each.record.run_id, of_caller, max_runs)
        except TooManyRuns as error:
            reasons[each.token] = error
        else:
            of_caller.append(replace(each.record, owned=True))
    return reasons


async def require(connection: Connection, run_id: str, max_runs: int) -> None:
    """Raise `TooManyRuns` if the caller of a run has `max_runs` others. Until the transaction ends, others wait."""
    row = await (await connection.execute(_CALLER, (run_id,))).fetchone()
    caller = read(row[0]) if row else ""
    if caller:
        require_room(run_id, (await _active(connection, {caller}))[caller], max_runs)


async def _active(connection: Connection, callers: Iterable[str]) -> dict[str, list[RunRecord]]:
    """Return the runs of callers that may be active, after a lock for each caller."""
    names: Sequence[str] = sorted(callers)  # in this order, so that transactions do not deadlock
    if not names:
        return {}
    await connection.execute(_LOCK, ([plain(each) for each in names],))
    return {each: [*await RecordFilter(ACTIVE, each, None, None, 0.0, _ALL).read(connection)] for each in names}
