"""Reads the events of a run from SQLite, in parts, and checks that they are what was written."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from moa_mcp.errors import RunNotFound
from moa_mcp.events import Event
from moa_mcp.journal import Page, RunRecord
from moa_mcp.journal.codec import CODEC, REFERENCES, Unpacker
from moa_mcp.journal.damage import checked, readable
from moa_mcp.journal.sqlite.rows import SELECT, record_of
from moa_mcp.values import ACTIVE

_MOST = 300
"""Values of one statement. SQLite may be limited to 999."""
_FOLLOWED = 64
"""Places in runs from which a follower can go on without reading what came before."""
_SPEC = 2
"""The column of a run's definition."""
_TEXTS = "SELECT digest, packed, body FROM texts JOIN refs USING(text_id)"
_Row = tuple[int, str, int | None]
_Place = tuple[str, float, int]
"""A run, when it was created, and a mark. A run that was deleted and begun again is another one."""


class RunPart(Struct, frozen=True):
    """What was read of a run, not decoded yet."""

    record: RunRecord
    after: int
    rows: Sequence[_Row]
    """Those after the mark; all of the run if what they refer to is not known."""
    texts: dict[str, str]
    unpacker: Unpacker

    @property
    def mark(self) -> int:
        """The number of the last row."""
        return self.rows[-1][0] if self.rows else self.after

    def events(self) -> Iterator[Event]:
        """Decode the events after the mark. Raises `ValueError` and others if they are corrupt."""
        for number, body, _ in self.rows:
            events = self.unpacker.unpacked(body.split("\n"), self.texts)
            if number > self.after:
                yield from events
            else:
                for _ in events:  # later events may refer to them
                    pass


class RunReader:
    """Reads runs after marks. It remembers what events that come refer to, so that a follower reads only what is new.

    `read` belongs to the thread of the connection, `page` to that of the caller.
    """

    def __init__(self) -> None:
        self._unpackers: OrderedDict[_Place, Unpacker] = OrderedDict()

    def read(self, db: sqlite3.Connection, run_id: str, after: int) -> RunPart:
        """Read what follows a mark. Raises `RunNotFound`, `JournalDamaged`; `ValueError` for corrupt events."""
        found = db.execute(f"{SELECT} WHERE run_id = ?", (run_id,)).fetchall()
        if not found:
            raise RunNotFound(run_id)
        record = record_of(found[0])
        known = self._unpackers.get((run_id, record.created_at, after)) if after else Unpacker()
        rows = _rows(db, run_id, after)
        if rows and known is None:
            rows = _rows(db, run_id, 0)
        (parts,) = db.execute("SELECT parts FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if parts is not None and parts != _count(db, run_id):
            raise ValueError("missing events")
        if not all(_is_sound(run_id, row) for row in rows):
            raise ValueError("corrupt event")
        return RunPart(record, after, rows, _texts(db, run_id, rows), known.copy() if known else Unpacker())

    def page(self, part: RunPart) -> Page:
        """Decode what was read. Raises `JournalDamaged` if it is corrupt."""
        record = part.record
        with readable(record.run_id):
            events = tuple(part.events())
        if record.status in ACTIVE and (part.rows or not part.after):
            place = record.run_id, record.created_at, part.mark
            self._unpackers[place] = part.unpacker
            self._unpackers.move_to_end(place)
            if len(self._unpackers) > _FOLLOWED:
                self._unpackers.popitem(last=False)
        return Page(events, part.mark, record)


def read_row(db: sqlite3.Connection, run_id: str) -> tuple[tuple[Any, ...], dict[str, str]] | None:
    """Return the row of a run and the texts of its definition; None if it is not known.

    Raises `ValueError` if a text is missing or corrupt.
    """
    found = db.execute(f"{SELECT} WHERE run_id = ?", (run_id,)).fetchall()
    if not found:
        return None
    digests = REFERENCES.findall(str(found[0][_SPEC]))
    texts = _stored(db, run_id, digests)
    if not texts.keys() >= {*digests}:
        raise ValueError("missing text")
    return found[0], texts


def _rows(db: sqlite3.Connection, run_id: str, after: int) -> list[_Row]:
    sql = "SELECT seq, body, crc FROM events WHERE run_id = ? AND seq > ? ORDER BY seq"
    return db.execute(sql, (run_id, after)).fetchall()


def _count(db: sqlite3.Connection, run_id: str) -> int:
    """Return the number of rows that `_rows` can find: a corrupt number may hide one."""
    sql = "SELECT count(*) FROM events WHERE run_id = ? AND seq > 0"
    return int(db.execute(sql, (run_id,)).fetchone()[0])


def _is_sound(run_id: str, row: _Row) -> bool:
    """Whether the checksum of events is correct. Earlier versions have none."""
    _, body, crc = row
    return crc is None or checked(body, run_id) == (crc if crc >= 0 else -1 - crc)


def _texts(db: sqlite3.Connection, run_id: str, rows: Sequence[_Row]) -> dict[str, str]:
    """Return the texts of events by hash. Raises `ValueError` if one that was stored is missing or corrupt."""
    named = [
        (digest, crc is not None)
        for _, body, crc in rows
        if crc is None or crc >= 0
        for digest in REFERENCES.findall(body)
    ]
    texts = _stored(db, run_id, [*dict(named)])
    if any(checksummed and digest not in texts for digest, checksummed in named):
        raise ValueError("missing text")
    return texts


def _stored(db: sqlite3.Connection, run_id: str, digests: Sequence[str]) -> dict[str, str]:
    """Return the texts of a run that are stored, by hash."""
    texts = dict[str, str]()
    for first in range(0, len(digests), _MOST):
        some = digests[first : first + _MOST]
        marks = ",".join("?" * len(some))
        found = db.execute(f"{_TEXTS} WHERE run_id = ? AND digest IN ({marks})", (run_id, *some))
        texts |= {digest: _text(digest, packed, body) for digest, packed, body in found}
    return texts


def _text(digest: str, packed: int, body: bytes) -> str:
    raw = zlib.decompress(body) if packed else body
    if hashlib.sha256(raw).hexdigest() != digest:
        raise ValueError("corrupt text")
    return raw.decode(*CODEC)
