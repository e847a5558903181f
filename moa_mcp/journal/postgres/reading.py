"""Reads the events of a run from PostgreSQL, after a mark, and checks that they are what was written."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.errors import RunNotFound
from moa_mcp.events import Event
from moa_mcp.journal import Page, RunRecord
from moa_mcp.journal.codec import CODEC, REFERENCES, Unpacker
from moa_mcp.journal.damage import checked, readable
from moa_mcp.journal.postgres.connections import Connection
from moa_mcp.journal.postgres.rows import COLUMNS, is_plain, record_of
from moa_mcp.values import ACTIVE

_FOLLOWED = 64
"""Places in runs from which a follower can go on without reading what came before."""
_RECORD: Final = f"SELECT {COLUMNS} FROM moa.runs WHERE run_id = %s"  # noqa: S608  no value is in it
_EVENTS: Final = "SELECT n, body, crc FROM moa.events WHERE run_id = %s AND n > %s ORDER BY n"
_TEXTS: Final = "SELECT digest, body FROM moa.texts WHERE run_id = %s AND digest = ANY(%s)"
_Row: TypeAlias = tuple[int, str, int]
_Place: TypeAlias = tuple[str, float, int]
"""A run, when it was created, and a mark. A run that was deleted and begun again is another one."""


class _Part(Struct, frozen=True):
    """What was read of a run, not decoded yet."""

    record: RunRecord
    after: int
    rows: Sequence[_Row]
    """Those after the mark; all of the run if what they refer to is not known."""
    texts: dict[str, str]
    unpacker: Unpacker

    @property
    def mark(self) -> int:
        return self.rows[-1][0] if self.rows else self.after

    def events(self) -> Iterator[Event]:
        for number, body, _ in self.rows:
            for event in self.unpacker.unpacked((body,), self.texts):
                if number > self.after:  # later events may refer to earlier ones
                    yield event


class PageReader:
    """Reads runs after marks. It remembers what later events refer to, so that a follower reads only what is new."""

    def __init__(self) -> None:
        self._unpackers: OrderedDict[_Place, Unpacker] = OrderedDict()

    async def page(self, connection: Connection, run_id: str, after: int) -> Page:
        """Read what follows a mark. Raises `RunNotFound`, `JournalDamaged`."""
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            part = await self._part(connection, run_id, after)
        with readable(run_id):
            events = tuple(part.events())
        record = part.record
        if record.status in ACTIVE and (part.rows or not after):
            place = run_id, record.created_at, part.mark
            self._unpackers[place] = part.unpacker
            self._unpackers.move_to_end(place)
            if len(self._unpackers) > _FOLLOWED:
                self._unpackers.popitem(last=False)
        return Page(events, part.mark, record)

    async def _part(self, connection: Connection, run_id: str, after: int) -> _Part:
        async with connection.pipeline():
            found = await connection.execute(_RECORD, (run_id,))
            cursor = await connection.execute(_EVENTS, (run_id, after))
            row, rows = await found.fetchone(), await cursor.fetchall()
        if row is None:
            raise RunNotFound(run_id)
        record = record_of(row)
        known = self._unpackers.get((run_id, record.created_at, after)) if after else Unpacker()
        if rows and known is None:
            rows = await (await connection.execute(_EVENTS, (run_id, 0))).fetchall()
        with readable(run_id):
            texts = await _texts(connection, run_id, rows)
        return _Part(record, after, rows, texts, known.copy() if known else Unpacker())


async def read_record(connection: Connection, run_id: str) -> RunRecord | None:
    """Return the record of a run; None if it is not known. Raises `JournalDamaged`."""
    if not is_plain(run_id):
        return None
    row = await (await connection.execute(_RECORD, (run_id,))).fetchone()
    record = record_of(row) if row else None
    if record is None or not (digests := REFERENCES.findall(record.spec)):
        return record
    with readable(run_id):
        texts = await _stored(connection, run_id, digests)
        if texts.keys() >= {*digests}:
            return replace(record, texts=texts)
        if await (await connection.execute(_RECORD, (run_id,))).fetchone() is None:
            return None  # it was deleted meanwhile
        raise ValueError("missing text")


async def _texts(connection: Connection, run_id: str, rows: Sequence[_Row]) -> dict[str, str]:
    """Return the texts of events by hash. Raises `ValueError` if anything is missing or corrupt."""
    digests = dict[str, bool]()
    for number, body, crc in rows:
        if checked(body, run_id, number) != (crc if crc >= 0 else -1 - crc):
            raise ValueError("corrupt event")
        digests |= dict.fromkeys(REFERENCES.findall(body), crc >= 0)
    if not any(digests.values()):
        return {}
    texts = await _stored(connection, run_id, digests)
    if any(stored and digest not in texts for digest, stored in digests.items()):
        raise ValueError("missing text")
    return texts


async def _stored(connection: Connection, run_id: str, digests: Iterable[str]) -> dict[str, str]:
    """Return the texts of a run that are stored, by hash."""
    wanted = [bytes.fromhex(digest) for digest in digests]
    found = await connection.execute(_TEXTS, (run_id, wanted), binary=True)
    return dict(_text(*row) for row in await found.fetchall())


def _text(digest: Any, body: Any) -> tuple[str, str]:  # noqa: ANN401  bytes of the driver
    raw = bytes(body)
    if hashlib.sha256(raw).digest() != bytes(digest):
        raise ValueError("corrupt text")
    return bytes(digest).hex(), raw.decode(*CODEC)
