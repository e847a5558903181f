"""Whether SQLite has given up a part of its write-ahead log: it goes by the log up to the first error and says nothing.

What a killed process leaves is whole up to its last commit, so that an error before that is damage.
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

_HEADER, _FRAME = 32, 24
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""By the log's first word: the order of bytes in which checksums are made."""
_MAX_FRAME = slice(16, 20)
"""Where the index beside the log says how many of its frames count, in the machine's order of bytes."""
_MOMENT_S = 0.05
"""Until what another process writes at this moment has reached the index."""


def lengths(path: Path) -> tuple[bytes, int]:
    """Return the header of a journal's log and how many frames there are up to its last commit, if all is sound.

    Of a log with a damaged header, that is one more than SQLite can know of.
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
    """Whether less of a journal's log counts, now that it is open, than stood there before."""
    header, committed = before
    index = path.with_name(f"{path.name}-shm")
    for wait_s in (_MOMENT_S, 0.0):
        if not committed or not index.exists() or int.from_bytes(_known(index), sys.byteorder) >= committed:
            return False
        time.sleep(wait_s)
    return lengths(path)[0] == header  # else another process has begun it anew


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
