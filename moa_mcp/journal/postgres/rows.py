"""The rows of runs in PostgreSQL, and texts with characters that it refuses."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

from moa_mcp.journal import RunRecord
from moa_mcp.journal.codec import CODEC
from moa_mcp.journal.damage import SENSELESS, damaged_run
from moa_mcp.journal.owners import is_dead
from moa_mcp.text.surrogates import is_encodable
from moa_mcp.values import Status

_STATUSES = frozenset(get_args(Status))
COLUMNS: Final = (
    "run_id, pipeline, spec, status, title, created_at, updated_at, owner, lease_until > moa.now(), caller, batch"
)


def plain(text: str) -> str:
    r"""Return a text that PostgreSQL takes: with NUL, lone surrogates or ``\``, all as in JSON, else unchanged."""
    return text if is_plain(text) and "\\" not in text else json.dumps(text)[1:-1]


def read(text: str) -> str:
    """Return the text of such a text."""
    return json.loads(f'"{text}"') if "\\" in text else text


def is_plain(text: str) -> bool:
    """Whether PostgreSQL takes a text as it is."""
    return "\0" not in text and is_encodable(text)


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
        return RunRecord(str(row[0]), "?", "", "failed", "", 0.0, 0.0, damaged=True)


def _read(row: tuple[Any, ...]) -> RunRecord:
    run_id, pipeline, spec, status, title, created_at, updated_at, owner, live, caller, batch = row
    if status not in _STATUSES:
        raise ValueError("no status")
    return RunRecord(
        run_id,
        read(pipeline),
        bytes(spec).decode(*CODEC),
        status,
        read(title),
        created_at,
        updated_at,
        owned=owner is not None and live and not is_dead(owner),
        caller=read(caller),
        batch=read(batch),
    )
