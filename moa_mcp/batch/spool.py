"""Pieces of a file in a temporary one, by number: a batch of any size takes a few bytes of memory for each."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO


class Spool:
    """Stores pieces and returns them in any order. The temporary file is deleted with its process."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._begins = array("q", [0])
        """Where each piece begins, and where the last one ends."""

    def __len__(self) -> int:
        return len(self._begins) - 1

    def add(self, piece: bytes) -> int:
        """Store a piece and return its number, from 0. Raises `OSError`."""
        self._file.seek(self._begins[-1])
        self._file.write(piece)
        self._begins.append(self._begins[-1] + len(piece))
        return len(self) - 1

    def __getitem__(self, number: int) -> bytes:
        begin, end = self._begins[number], self._begins[number + 1]
        self._file.seek(begin)
        return self._file.read(end - begin)


@contextmanager
def spool() -> Generator[Spool]:
    """Open an empty spool, which exists inside the block only. Raises `OSError`."""
    with tempfile.TemporaryFile(prefix="moa-mcp-batch-") as file:
        yield Spool(file)
