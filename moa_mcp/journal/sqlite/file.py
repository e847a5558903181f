"""The file of a SQLite journal: opened on first use, with one writer. Its errors say how to fix them."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import anyio.to_thread

from moa_mcp.errors import JournalDamaged
from moa_mcp.journal.codec import Packed
from moa_mcp.journal.sqlite.damage import damaged_file, explaining, read_only
from moa_mcp.journal.sqlite.opening import Opened, opened_at_best
from moa_mcp.journal.sqlite.schema import connected
from moa_mcp.journal.sqlite.surviving import holds_a_run
from moa_mcp.journal.sqlite.writer import Book, Work, Writer

Value = TypeVar("Value")


class File:
    """A file, and what is done with it."""

    def __init__(
        self,
        path: Path,
        synchronous: Literal["NORMAL", "FULL"],
        book: Book[Packed],
        *,
        only_reads: bool,
    ) -> None:
        self.path = path
        self._synchronous = synchronous
        self._book = book
        self._only_reads = only_reads

    @cached_property
    def _opened(self) -> Opened:
        with explaining(self.path):
            opened = opened_at_best(self.path, self._synchronous)
        return opened._replace(writes=opened.writes and not self._only_reads)

    @cached_property
    def writer(self) -> Writer[Packed]:
        """Open the file and start its writer. Raises `JournalError`."""
        return Writer(self._opened.db, self._book, writes=self._opened.writes)

    @cached_property
    def writes(self) -> bool:
        """Whether it can be written. Raises `JournalError` if it can't be opened."""
        return self._opened.writes

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever written, so that reading needs no file."""
        return "_opened" not in self.__dict__ and not self.path.exists()

    @property
    def unwritten_s(self) -> float:
        """Seconds since writes fail that are retried; 0 if there are none, or nothing was written yet."""
        return self.writer.unwritten_s if "writer" in self.__dict__ else 0.0

    def refuse(self) -> None:
        """Close a file that is of no use, before anything was done with it."""
        self._opened.db.close()
        self._opened.discard()

    def require_writes(self) -> None:
        """Raise `JournalError` if it can't be written."""
        if not self.writes:
            raise read_only(self.path)

    async def do(self, work: Work[Value]) -> Value:
        """Do work in a transaction. Raises `JournalError`."""
        self.require_writes()
        return await self._done(work, reads=False)

    async def read(self, work: Work[Value]) -> Value:
        """Do work that only reads. Raises `JournalError`."""
        return await self._done(work, reads=True)

    async def _done(self, work: Work[Value], *, reads: bool) -> Value:
        writer = self.writer  # of a file that can't be opened, no run is left
        try:
            with explaining(self.path):
                return await writer.do(work, reads=reads)
        except JournalDamaged as error:
            some_left = False
            with suppress(sqlite3.Error):
                some_left = await writer.do(holds_a_run, reads=True)
            raise damaged_file(self.path, some_left=some_left) from error

    async def apart(self, work: Work[Value]) -> Value:
        """Do long work that only reads, without blocking writes. Raises `JournalError`."""
        if not self.writes:
            return await self.read(work)
        with explaining(self.path):
            return await anyio.to_thread.run_sync(self._apart, work)

    def _apart(self, work: Work[Value]) -> Value:
        with closing(connected(str(self.path))) as db:
            return work(db)

    async def close(self) -> None:
        """Finish all pending work and close the file."""
        if "_opened" in self.__dict__:
            await self.writer.close()
            self._opened.discard()
