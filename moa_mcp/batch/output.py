"""The output of a batch: one line for each item, in the order of the items though their runs end in any order.

A file is written under another name, ``OUT.partial``, which has a valid beginning of the output at any time, and gets
its own name when it is complete. A file that is not of the same batch is not replaced.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from moa_mcp.batch.spool import Spool
from moa_mcp.journal.locks import locked

SUFFIX = ".partial"
_LONGEST_FIRST = 2**26


class OutputRefused(Exception):
    """The output can't be written. The message names the file."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class OrderedOutput:
    """Writes lines in order. Those that come before their turn wait in a temporary file."""

    def __init__(self, file: IO[bytes], waiting: Spool) -> None:
        self._file = file
        self._waiting = waiting
        self._places: dict[int, int] = {}
        """By position: the number of the waiting line."""
        self.written = 0
        """The number of lines written, all of the first items."""

    def add(self, position: int, line: bytes) -> None:
        """Write the line of an item, from 0, and those that waited for it. Raises `OSError`."""
        if position != self.written:
            self._places[position] = self._waiting.add(line)
            return
        self._write(line)
        while (place := self._places.pop(self.written, None)) is not None:
            self._write(self._waiting[place])
        self._file.flush()

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        while left:  # an unbuffered file may write a part of it
            left = left[self._file.write(left) :]
        self.written += 1


@contextmanager
def opened(path: Path, batch: str, *, force: bool) -> Generator[IO[bytes]]:
    """Open the output of a batch; it gets its own name at the end of the block, unless the block raises.

    Raises:
        OutputRefused: another process writes it, or a file of that name is not of this batch and `force` is not set.
        OSError: it can't be written.

    """
    if path.exists() and not path.is_file():  # such as /dev/stdout
        with path.open("wb", buffering=0) as file:
            yield file
        return
    partial = path.with_name(path.name + SUFFIX)
    with locked(partial) as file:
        if file is None:
            raise OutputRefused(
                f"{partial} is written by another process", "Wait for it, or choose another file with -o."
            )
        for each in () if force else (path, partial):
            _check(each, batch)
        file.truncate()
        try:
            yield file
            os.fsync(file.fileno())
        except BaseException:
            if not file.tell():
                with suppress(OSError):
                    partial.unlink()
            raise
        partial.replace(path)


def _check(path: Path, batch: str) -> None:
    """Raise `OutputRefused` if a file has something else than the output of this batch."""
    if path.exists() and path.stat().st_size and _batch_of(path) != batch:
        raise OutputRefused(
            f"{path} exists and is not the output of this batch: another question file, pipeline or setting wrote it",
            "Choose another file with -o, or add --force to replace it.",
        )


def _batch_of(path: Path) -> object:
    """Return the batch in the first line of a file; None if it has none."""
    with path.open("rb") as file, suppress(ValueError, RecursionError):
        first: object = json.loads(file.readline(_LONGEST_FIRST))
        return cast("dict[str, object]", first).get("batch") if isinstance(first, dict) else None
    return None
