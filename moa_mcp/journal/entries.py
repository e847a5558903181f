"""What is written of a run in SQLite: its events, a row for those that came together, and its texts, each once.

Texts are shared by all runs; which run refers to which is kept beside, so that a text can go with the last of them.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence

from moa_mcp.errors import LeaseLost
from moa_mcp.events import Event
from moa_mcp.journal.codec import Packed, unpack
from moa_mcp.journal.writer import Refused

_CODEC = ("utf-8", "surrogatepass")
"""Models, and arguments of commands, may hold half a character."""
_LONG = 2**14
"""Bytes from which a text is compressed: that is prompts. An answer is written faster than it is compressed."""
_KNOWN = 5_000


class NotOurs(Refused, LeaseLost):
    """A run that this process drives no more."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is driven by another process now, or was cancelled there")


class Entries:
    """Writes events of the runs of one owner."""

    def __init__(self, owner: str, *, texts: bool) -> None:
        """Keep `texts`, or nothing of them."""
        self._owner = owner
        self._texts = texts
        self._known: set[tuple[str, str]] = set()
        """Texts on record, by run: they stay as long as their run, and only its owner asks."""

    def write(self, db: sqlite3.Connection, run_id: str, lines: Sequence[Packed]) -> None:
        """Put events on record, in order. Raises `NotOurs`."""
        written = db.execute(
            "INSERT INTO events(run_id, body) SELECT run_id, ? FROM runs WHERE run_id = ? AND owner = ?",
            ("\n".join([line.body for line in lines]), run_id, self._owner),
        )
        if not written.rowcount:
            raise NotOurs(run_id)
        if self._texts:
            told = [(digest, text) for line in lines for digest, text in line.texts.items()]
            self._refer(db, run_id, {digest: text for digest, text in told if (run_id, digest) not in self._known})

    def undone(self) -> None:
        """Learn that what was written last is not on record."""
        self._known.clear()

    def _refer(self, db: sqlite3.Connection, run_id: str, texts: Mapping[str, str]) -> None:
        """Put texts on record, by hash, that a run has not said yet."""
        if not texts:
            return
        for digest, text in texts.items():
            _add(db, digest, text)
        sql = "INSERT OR IGNORE INTO refs SELECT ?, text_id FROM texts WHERE digest IN (SELECT value FROM json_each(?))"
        db.execute(sql, (run_id, json.dumps([*texts])))
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known.update((run_id, digest) for digest in texts)


def _add(db: sqlite3.Connection, digest: str, text: str) -> None:
    body = text.encode(*_CODEC)
    packed = len(body) >= _LONG
    if packed:
        if db.execute("SELECT 1 FROM texts WHERE digest = ?", (digest,)).fetchone():
            return
        body = zlib.compress(body, 1)
    db.execute("INSERT OR IGNORE INTO texts(digest, packed, body) VALUES(?,?,?)", (digest, packed, body))


def read(db: sqlite3.Connection, run_id: str) -> tuple[list[str], dict[str, str]]:
    """Return a run's events as they are packed, in order, and its texts by hash."""
    rows = db.execute("SELECT body FROM events WHERE run_id = ? ORDER BY seq", (run_id,))
    bodies = [body for (row,) in rows for body in row.split("\n")]
    sql = "SELECT digest, packed, body FROM refs JOIN texts USING(text_id) WHERE run_id = ?"
    return bodies, {digest: _text(packed, body) for digest, packed, body in db.execute(sql, (run_id,))}


def _text(packed: int, body: bytes) -> str:
    return (zlib.decompress(body) if packed else body).decode(*_CODEC)


def unpacked(bodies: Sequence[str], texts: Mapping[str, str]) -> tuple[Event, ...]:
    """Return the events that were read."""
    return tuple(unpack(body, texts) for body in bodies)
