"""Writes the events and texts of runs to SQLite: one row for events that arrive together, and each text once.

Runs share texts. A table of references shows when a text can be deleted.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from itertools import chain

from moa_mcp.errors import LeaseLost
from moa_mcp.journal.codec import CODEC, Packed
from moa_mcp.journal.damage import checked
from moa_mcp.journal.sqlite.writer import WriteRefused

_LONG = 2**14
"""Size from which a text is compressed, in bytes. Only prompts reach it; compressing an answer takes longer than
writing it."""
_KNOWN = 5_000
_ROWS = 300
"""Rows of one statement. SQLite may be limited to 999 values."""


class NotOurs(WriteRefused, LeaseLost):
    """The run has another owner now, or was cancelled."""

    def __init__(self, *run_ids: str) -> None:
        super().__init__(f"run {', '.join(run_ids)} is owned by another process now, or was cancelled")


class Entries:
    """Writes events of the runs of one owner."""

    def __init__(self, owner: str, *, texts: bool) -> None:
        """With `texts`, store texts, else only their hashes."""
        self._owner = owner
        self._texts = texts
        self._known: dict[str, set[str]] = {}
        """Hashes of stored texts by run. They stay as long as the run, so its owner can rely on them."""
        self._count = 0
        """How many they are, at least."""

    def write(self, db: sqlite3.Connection, pages: Mapping[str, Sequence[Packed]]) -> None:
        """Store events of several runs in order, either all of them or none. Raises `NotOurs`."""
        rows = [self._row(run_id, b"\n".join([body for body, _ in lines])) for run_id, lines in pages.items()]
        ours = f"SELECT count(*) FROM runs WHERE owner = ? AND run_id IN ({','.join('?' * len(rows))})"  # noqa: S608
        sql = f"INSERT INTO events(run_id, body, crc) SELECT * FROM ({_values(rows)}) WHERE ({ours}) = ?"  # noqa: S608
        if not db.execute(sql, (*chain.from_iterable(rows), self._owner, *pages, len(rows))).rowcount:
            raise NotOurs(*pages)
        if self._texts and (new := self._new(pages)):
            self._refer(db, new)

    def _row(self, run_id: str, body: bytes) -> tuple[str, str, int]:
        """Return the row of events, with their checksum, which is negative if their texts are not stored."""
        crc = zlib.crc32(body, checked(run_id))
        return run_id, body.decode(), crc if self._texts else -1 - crc

    def _new(self, pages: Mapping[str, Sequence[Packed]]) -> dict[tuple[str, str], str]:
        """Return the texts that runs did not have before, by run and hash."""
        new: dict[tuple[str, str], str] = {}
        for run_id, lines in pages.items():
            known = self._known.get(run_id, ())
            for _, texts in lines:
                for digest, text in texts.items():
                    if digest not in known:
                        new[run_id, digest] = text
        return new

    def begins(self, db: sqlite3.Connection, run_id: str, texts: Mapping[str, str]) -> None:
        """Store the texts of a new run. Those of an earlier run with this ID, which was deleted, are forgotten."""
        self._known.pop(run_id, None)
        if texts:
            self._refer(db, {(run_id, digest): text for digest, text in texts.items()})

    def undone(self) -> None:
        """Forget the writes since the last commit."""
        self._known.clear()
        self._count = 0

    def _refer(self, db: sqlite3.Connection, used: Mapping[tuple[str, str], str]) -> None:
        """Store texts by hash and reference them from their runs."""
        texts = {digest: text for (_, digest), text in used.items()}
        rows = [row for row in (_row(db, digest, text) for digest, text in texts.items()) if row is not None]
        _insert(db, "INSERT OR IGNORE INTO texts(digest, packed, body) {}", rows)
        sql = (
            "WITH used(run_id, digest) AS ({}) "
            "INSERT OR IGNORE INTO refs SELECT run_id, text_id FROM used JOIN texts USING(digest)"
        )
        _insert(db, sql, [*used])
        if self._count >= _KNOWN:
            self.undone()
        self._count += len(used)
        for run_id, digest in used:
            self._known.setdefault(run_id, set()).add(digest)


def _row(db: sqlite3.Connection, digest: str, text: str) -> tuple[str, bool, bytes] | None:
    """Return the row of a text; None for a long text that is already stored."""
    body = text.encode(*CODEC)
    if len(body) < _LONG:
        return digest, False, body
    if db.execute("SELECT 1 FROM texts WHERE digest = ?", (digest,)).fetchone():
        return None
    return digest, True, zlib.compress(body, 1)


def _insert(db: sqlite3.Connection, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows in few statements. Each statement releases and reacquires the interpreter lock."""
    for first in range(0, len(rows), _ROWS):
        part = rows[first : first + _ROWS]
        db.execute(sql.format(_values(part)), [*chain.from_iterable(part)])


def _values(rows: Sequence[tuple[object, ...]]) -> str:
    row = f"({','.join('?' * len(rows[0]))})"
    return f"VALUES {','.join([row] * len(rows))}"
