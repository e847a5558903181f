"""What runs have committed on each day, in SQLite, and the line of runs that wait for room."""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

from moa_mcp.journal import CallerSpending, Committed
from moa_mcp.journal.owners import is_dead

_LIVE = "runs.status = 'running' AND runs.lease_until > ?"


class Commitment(NamedTuple):
    """The arguments of `Journal.commit_spending`."""

    run_id: str
    nanodollars: int
    cap: int | None
    held: int
    day: str | None
    in_turn: bool


def commit(db: sqlite3.Connection, wanted: Commitment, me: str) -> Committed:
    """Set the committed amount of a run. `me` is the owner of the runs of this process."""
    day = wanted.day or str(db.execute("SELECT date('now')").fetchone()[0])
    sql = "SELECT nanodollars, nanodollars - held FROM spending WHERE day = ? AND run_id = ?"
    before, spent = db.execute(sql, (day, wanted.run_id)).fetchone() or (0, 0)
    after = total(db, day) - before + wanted.nanodollars
    fits = wanted.cap is None or after <= wanted.cap
    accepted = wanted.nanodollars <= before or (fits and not (wanted.in_turn and _is_behind(db, wanted.run_id)))
    if accepted:
        sql = "INSERT OR REPLACE INTO spending(run_id, day, nanodollars, held) VALUES(?,?,?,?)"
        db.execute(sql, (wanted.run_id, day, wanted.nanodollars, wanted.held))
        db.execute("DELETE FROM spending_line WHERE run_id = ?", (wanted.run_id,))
    elif wanted.in_turn:
        sql = "INSERT OR IGNORE INTO spending_line(run_id, owner) VALUES(?,?)"
        db.execute(sql, (wanted.run_id, me))
    others = sum(amount for run_id, amount in held(db, day).items() if run_id != wanted.run_id)
    return Committed(accepted, day, after if accepted else after - wanted.nanodollars + before, others, spent)


def _is_behind(db: sqlite3.Connection, run_id: str) -> bool:
    """Whether another run waits in line before this one. Places of runs that have lost their owner are deleted."""
    sql = (
        f"SELECT place, run_id, runs.owner, {_LIVE} AND runs.owner = spending_line.owner "  # noqa: S608  no value
        "FROM spending_line LEFT JOIN runs USING(run_id) ORDER BY place"
    )
    for place, waiting, owner, is_live in db.execute(sql, (time.time(),)).fetchall():
        if waiting == run_id:
            return False
        if is_live and not is_dead(owner):
            return True
        db.execute("DELETE FROM spending_line WHERE place = ?", (place,))
    return False


def total(db: sqlite3.Connection, day: str) -> int:
    """Return the committed amount of all runs on a day."""
    return int(db.execute("SELECT coalesce(sum(nanodollars), 0) FROM spending WHERE day = ?", (day,)).fetchone()[0])


def of_caller(db: sqlite3.Connection, caller: str, day: str) -> CallerSpending:
    """Return what the runs of a caller have committed on a day."""
    sql = (
        f"SELECT run_id, nanodollars, held, owner, {_LIVE} FROM runs JOIN spending USING(run_id) "  # noqa: S608  as below
        "WHERE caller = ? AND day = ?"
    )
    rows = db.execute(sql, (time.time(), caller, day)).fetchall()
    live = {run_id: amount for run_id, _, amount, owner, leased in rows if amount and leased and not is_dead(owner)}
    return CallerSpending(sum(committed for _, committed, *_ in rows), live)


def held(db: sqlite3.Connection, day: str, *, dead: bool = False) -> dict[str, int]:
    """Return the unspent part of the committed amount on a day, like `Journal.held`."""
    sql = (
        f"SELECT run_id, held, owner, {_LIVE} FROM spending JOIN runs USING(run_id) "  # noqa: S608  no value is in it
        "WHERE day = ? AND held > 0 AND status <> 'queued'"
    )
    rows = db.execute(sql, (time.time(), day)).fetchall()
    return {run_id: amount for run_id, amount, owner, leased in rows if (not leased or is_dead(owner)) == dead}
