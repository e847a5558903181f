"""Detects whether SQLite dropped part of its write-ahead log. It silently ignores frames after the first error.

A killed process leaves a log that is valid up to its last commit. An earlier error means damage.
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

_HEADER, _FRAME = 32, 24
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""Byte order of the checksums, by the first word of the log."""
_MAX_FRAME = slice(16, 20)
"""Position in the index file of the number of valid frames, in native byte order."""
_MOMENT_S = 0.05
"""Seconds until a concurrent write has reached the index."""


def lengths(path: Path) -> tuple[bytes, int]:
    """Return the header of a journal's log and the number of its frames up to the last commit.

    If the header is damaged and there are frames, the number is one.
    """
    try:
        log = path.with_name(f"{path.name}-wal").open("rb", buffering=0)
    except FileNotFoundError:
        return b"", 0
    with log:
        header = log.read(_HEADER)
        if len(header) < _HEADER:
            return header, 0
        if not _is_sound(header):
            return header, 1 if log.read(_FRAME) else 0
        size, salts, committed, number = int.from_bytes(header[8:12], "big"), header[16:24], 0, 0
        while len(frame := log.read(_FRAME)) == _FRAME and frame[8:16] == salts:
            number += 1
            if frame[4:8] != b"\0\0\0\0":
                committed = number
            log.seek(size, 1)
    return header, committed


def is_cut(path: Path, before: tuple[bytes, int]) -> bool:
    """Whether fewer frames of the log are valid after opening than before."""
    header, committed = before
    index = path.with_name(f"{path.name}-shm")
    for wait_s in (_MOMENT_S, 0.0):
        if not committed or not index.exists() or int.from_bytes(_known(index), sys.byteorder) >= committed:
            return False
        time.sleep(wait_s)
    return lengths(path)[0] == header  # else another process has restarted the log


def _known(index: Path) -> bytes:
    with index.open("rb") as file:
        return file.read(_MAX_FRAME.stop)[_MAX_FRAME]


def _is_sound(header: bytes) -> bool:
    order = _MAGIC.get(int.from_bytes(header[:4], "big"))
    if order is None:
        return False
    words = struct.unpack(f"{order}6I", header[:24])
    first = second = 0
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return struct.pack(">2I", first, second) == header[24:32]
