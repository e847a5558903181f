"""Who owns a run in SQLite, and the work that makes a process its owner or takes it from a dead one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from typing import NamedTuple

from msgspec.structs import replace

from moa_mcp.journal import Claim
from moa_mcp.journal.damage import damaged_run
from moa_mcp.journal.owners import is_dead
from moa_mcp.journal.sqlite.rows import SELECT, record_of
from moa_mcp.journal.sqlite.selection import require_room_for
from moa_mcp.values import COMPLETE


class Lease(NamedTuple):
    """Who owns a run, and until when if nothing is heard from it."""

    run_id: str
    owner: str | None
    until: float

    @property
    def is_over(self) -> bool:
        """Whether its owner is surely dead. One that has expired leaves that open."""
        return is_dead(self.owner)


def lease(db: sqlite3.Connection, run_id: str) -> Lease:
    """Return the lease of a run. Raises `JournalDamaged` if it is corrupt."""
    row = db.execute("SELECT owner, lease_until FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is not None and not isinstance(row[1], float):
        raise damaged_run(run_id)
    return Lease(run_id, None, 0.0) if row is None else Lease(run_id, row[0], row[1])


def leases(db: sqlite3.Connection) -> tuple[Lease, ...]:
    """Return the leases of all active runs."""
    sql = (
        "SELECT run_id, owner, lease_until FROM runs "
        "WHERE status IN ('queued', 'running') AND owner IS NOT NULL AND typeof(lease_until) = 'real'"
    )
    return tuple(Lease(*row) for row in db.execute(sql))


def claim(db: sqlite3.Connection, run_id: str, owner: str, lease_s: float, max_runs: int | None = None) -> Claim | None:
    """Make a process the owner of a run that can be resumed and whose lease is over or has expired."""
    rows = db.execute(f"{SELECT} WHERE run_id = ?", (run_id,)).fetchall()
    held, now = lease(db, run_id), time.time()
    if not rows or not (held.until < now or held.is_over):
        return None
    record = record_of(rows[0])
    if record.status in COMPLETE:
        return None
    require_room_for(db, run_id, record.caller, max_runs)
    sql = (
        "UPDATE runs SET owner = ?, lease_until = ?, status = 'running', updated_at = ?, parts = NULL WHERE run_id = ?"
    )
    db.execute(sql, (owner, now + lease_s, now, run_id))
    events = db.execute("SELECT 1 FROM events WHERE run_id = ? LIMIT 1", (run_id,)).fetchall()
    claimed = replace(record, status="running", updated_at=now, owned=True)
    return Claim(claimed, record.status != "queued" or bool(events), record.status)


def free(db: sqlite3.Connection, dead: Collection[Lease]) -> dict[str, bool]:
    """Release runs whose leases are still these; return whether each is queued again, by run."""
    sql = (
        "UPDATE runs SET owner = NULL, lease_until = 0, status = CASE WHEN delivered THEN 'queued' ELSE status END "
        "WHERE run_id = ? AND owner = ? AND lease_until = ?"
    )
    freed = [each.run_id for each in dead if db.execute(sql, each).rowcount]
    status = "SELECT status = 'queued' FROM runs WHERE run_id = ?"
    return {run_id: bool(db.execute(status, (run_id,)).fetchone()[0]) for run_id in freed}
