"""Reads the events of a run from SQLite, in parts, and checks that they are what was written."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence

from moa_mcp.events import Event
from moa_mcp.journal.codec import CODEC, Unpacker
from moa_mcp.journal.sqlite.damage import checked

_DIGEST = re.compile('"sha256":"([0-9a-f]{64})"')
_MOST = 300
"""Values of one statement. SQLite may be limited to 999."""
_TEXTS = "SELECT digest, packed, body FROM texts JOIN refs USING(text_id)"
_Row = tuple[int, str, int | None]


class Reading:
    """The events of one run. Each part has what was written since the part before."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._rows = 0
        self._last = 0
        """The number of the last row."""
        self._unpacker = Unpacker()

    def more(self, db: sqlite3.Connection) -> Iterator[Event]:
        """Read the next events. The iterator decodes them; it must be exhausted before the next part is read.

        Raises `ValueError` if they are corrupt.
        """
        sql = "SELECT seq, body, crc FROM events WHERE run_id = ? AND seq > ? ORDER BY seq"
        rows: list[_Row] = db.execute(sql, (self._run_id, self._last)).fetchall()
        (ended_with,) = db.execute("SELECT parts FROM runs WHERE run_id = ?", (self._run_id,)).fetchone() or (None,)
        if ended_with not in {None, self._rows + len(rows)} or not all(_is_sound(self._run_id, row) for row in rows):
            raise ValueError("corrupt event")
        texts = _texts(db, self._run_id, rows)
        self._rows += len(rows)
        self._last = rows[-1][0] if rows else self._last
        return self._unpacker.unpacked((each for _, body, _ in rows for each in body.split("\n")), texts)


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
        for digest in _DIGEST.findall(body)
    ]
    digests, texts = [*dict(named)], dict[str, str]()
    for first in range(0, len(digests), _MOST):
        some = digests[first : first + _MOST]
        marks = ",".join("?" * len(some))
        found = db.execute(f"{_TEXTS} WHERE run_id = ? AND digest IN ({marks})", (run_id, *some))
        texts |= {digest: _text(digest, packed, body) for digest, packed, body in found}
    if any(checksummed and digest not in texts for digest, checksummed in named):
        raise ValueError("missing text")
    return texts


def _text(digest: str, packed: int, body: bytes) -> str:
    raw = zlib.decompress(body) if packed else body
    if hashlib.sha256(raw).hexdigest() != digest:
        raise ValueError("corrupt text")
    return raw.decode(*CODEC)
