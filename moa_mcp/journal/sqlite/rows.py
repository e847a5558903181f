"""The rows of runs in SQLite, and their validation."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, get_args

from msgspec.structs import replace

from moa_mcp.journal import RunRecord
from moa_mcp.journal.damage import SENSELESS, checked, damaged_run
from moa_mcp.journal.owners import is_dead
from moa_mcp.values import Status

SELECT = (
    "SELECT run_id, pipeline, spec, status, title, created_at, updated_at, owner, lease_until, crc, caller, batch "
    "FROM runs"
)
_STATUSES = frozenset(get_args(Status))
_LAST = 253_402_300_799.0
"""The end of the year 9999, in seconds since the epoch."""


def insert(db: sqlite3.Connection, record: RunRecord, owner: str | None, until: float) -> bool:
    """Insert a new run, without an owner if it is queued; return whether its ID was not known yet."""
    sql = (
        "INSERT INTO runs(run_id, pipeline, spec, status, title, owner, lease_until, created_at, updated_at, crc, "
        "caller, batch, delivered) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(run_id) DO NOTHING"
    )
    texts = (record.run_id, record.pipeline, record.spec, record.status, record.title)
    times = (until, record.created_at, record.updated_at)
    whose = (record.caller, record.batch, record.status == "queued")
    return bool(db.execute(sql, (*texts, owner, *times, _crc(record), *whose)).rowcount)


def redefine(db: sqlite3.Connection, run_id: str, owner: str, spec: str) -> None:
    """Replace the definition of a run that has this owner. Raises `JournalDamaged` if its record is corrupt."""
    row = db.execute(f"{SELECT} WHERE run_id = ? AND owner = ?", (run_id, owner)).fetchone()
    if row is not None:
        crc = _crc(replace(record_of(row), spec=spec))
        db.execute("UPDATE runs SET spec = ?, crc = ? WHERE run_id = ?", (spec, crc, run_id))


def record_of(row: tuple[Any, ...]) -> RunRecord:
    """Return a run's record. Raises `JournalDamaged` if it is corrupt."""
    try:
        return _read(row)
    except SENSELESS as error:
        raise damaged_run(str(row[0])) from error


def any_record_of(row: tuple[Any, ...]) -> RunRecord:
    """Return a run's record; if it is corrupt, one with `damaged` set."""
    try:
        return _read(row)
    except SENSELESS:
        run_id = str(row[0]).encode("ascii", "replace").decode()
        return RunRecord(run_id, "?", "", "failed", "", 0.0, 0.0, damaged=True)


def _read(row: tuple[Any, ...]) -> RunRecord:
    run_id, pipeline, spec, status, title, created_at, updated_at, owner, until, crc, caller, batch = row
    texts = (run_id, pipeline, spec, status, title, caller, batch)
    moments = (created_at, updated_at, until)
    if not all(isinstance(each, str) for each in texts) or status not in _STATUSES:
        raise ValueError("no texts")
    if not all(isinstance(each, float) and 0 <= each <= _LAST for each in moments):
        raise ValueError("no moments")
    for each in texts:
        each.encode("utf-8", "strict")
    owned = until > time.time() and not is_dead(owner)
    record = RunRecord(run_id, pipeline, spec, status, title, created_at, updated_at, owned, caller=caller, batch=batch)
    if crc is not None and crc != _crc(record):
        raise ValueError("not what was written")
    return record


def _crc(record: RunRecord) -> int:
    """Return a checksum of the columns that never change. Earlier versions knew neither callers nor batches."""
    whose = (record.caller, record.batch) if record.caller or record.batch else ()
    created_at = repr(float(record.created_at))
    return checked(record.title, record.run_id, record.pipeline, record.spec, created_at, *whose)
