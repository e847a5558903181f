"""What runs have committed on each day, in SQLite, and the lines of runs that wait for room."""

from __future__ import annotations

import sqlite3
import time

from moa_mcp.journal.owners import is_dead
from moa_mcp.journal.spending import Commitment, Committed

_LIVE = "runs.status = 'running' AND runs.lease_until > ?"


def commit(db: sqlite3.Connection, wanted: Commitment, me: str) -> Committed:
    """Set the committed amount of a run. `me` is the owner of the runs of this process."""
    day = wanted.day or str(db.execute("SELECT date('now')").fetchone()[0])
    caller = _caller_of(db, wanted.run_id)
    sql = "SELECT nanodollars, nanodollars - held FROM spending WHERE day = ? AND run_id = ?"
    before, spent = db.execute(sql, (day, wanted.run_id)).fetchone() or (0, 0)
    more = wanted.nanodollars - before
    by_caller = more > 0 and bool(caller) and not _fits(db, wanted, more, day, caller)
    accepted = more <= 0 or not (by_caller or not _fits(db, wanted, more, day))
    if accepted:
        sql = "INSERT OR REPLACE INTO spending(run_id, day, nanodollars, held, caller) VALUES(?,?,?,?,?)"
        db.execute(sql, (wanted.run_id, day, wanted.nanodollars, wanted.held, caller))
        db.execute("DELETE FROM spending_line WHERE run_id = ?", (wanted.run_id,))
    elif wanted.in_turn:
        _line_up(db, wanted.run_id, caller if by_caller else "", me)
    whose = caller if by_caller else None
    others = sum(amount for run_id, amount in held(db, day, whose).items() if run_id != wanted.run_id)
    return Committed(accepted, day, total(db, day, whose), others, spent, by_caller)


def _caller_of(db: sqlite3.Connection, run_id: str) -> str:
    (caller,) = db.execute("SELECT caller FROM runs WHERE run_id = ?", (run_id,)).fetchone() or ("",)
    return str(caller)


def _fits(db: sqlite3.Connection, wanted: Commitment, more: int, day: str, caller: str | None = None) -> bool:
    """Whether the cap of a caller, or that of all, allows a commitment that grows, and whether it is its turn."""
    cap = wanted.cap if caller is None else wanted.caller_cap
    if cap is None:
        return True
    return total(db, day, caller) + more <= cap and not (wanted.in_turn and _is_behind(db, wanted.run_id, caller or ""))


def _line_up(db: sqlite3.Connection, run_id: str, caller: str, me: str) -> None:
    """Give a run a place in the line of a caller, or of all if that is empty."""
    db.execute("DELETE FROM spending_line WHERE run_id = ? AND caller != ?", (run_id, caller))
    db.execute("INSERT OR IGNORE INTO spending_line(run_id, owner, caller) VALUES(?,?,?)", (run_id, me, caller))


def _is_behind(db: sqlite3.Connection, run_id: str, caller: str) -> bool:
    """Whether another run waits in line before this one. Places of runs that have lost their owner are deleted."""
    sql = (
        f"SELECT place, run_id, runs.owner, {_LIVE} AND runs.owner = spending_line.owner "  # noqa: S608  no value
        "FROM spending_line LEFT JOIN runs USING(run_id) WHERE spending_line.caller = ? ORDER BY place"
    )
    for place, waiting, owner, is_live in db.execute(sql, (time.time(), caller)).fetchall():
        if waiting == run_id:
            return False
        if is_live and not is_dead(owner):
            return True
        db.execute("DELETE FROM spending_line WHERE place = ?", (place,))
    return False


def total(db: sqlite3.Connection, day: str, caller: str | None = None) -> int:
    """Return what all runs, or those of a caller, have committed on a day."""
    sql = "SELECT coalesce(sum(nanodollars), 0) FROM spending WHERE day = ? AND (? IS NULL OR caller = ?)"
    return int(db.execute(sql, (day, caller, caller)).fetchone()[0])


def held(db: sqlite3.Connection, day: str, caller: str | None = None, *, dead: bool = False) -> dict[str, int]:
    """Return the unspent part of the committed amount on a day, like `Journal.held`."""
    sql = (
        f"SELECT run_id, held, owner, {_LIVE} FROM spending JOIN runs USING(run_id) "  # noqa: S608  no value is in it
        "WHERE day = ? AND held > 0 AND status <> 'queued' AND (? IS NULL OR spending.caller = ?)"
    )
    rows = db.execute(sql, (time.time(), day, caller, caller)).fetchall()
    return {run_id: amount for run_id, amount, owner, leased in rows if (not leased or is_dead(owner)) == dead}
