"""Files that only one process at a time writes. The end of a process, however it ends, releases its locks."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Generator[IO[bytes] | None]:
    """Open a file to write, from its beginning, and yield it; None if another process has it."""
    while True:
        with path.open("ab", buffering=0) as file:
            if not _lock(file):
                yield None
                return
            if _is(file, path):  # otherwise another process has just renamed or deleted it
                file.seek(0)
                yield file
                return


def _is(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> bool:
        """Windows renames no file that another process has open."""
        return file.writable()

else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True
