"""Finds the line of a problem in pipelines.toml. tomllib reports no places, so this searches the text for the keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([\w-]+)')
_HEADER = re.compile(r"[ \t]*\[{1,2}([^\[\]]+)\]{1,2}[ \t]*(?:#.*)?$")
_KEY = re.compile(r"""[ \t]*((?:[\w.-]|"[^"]*"|'[^']*')+)[ \t]*=""")
_STEP = re.compile(r"""(?<![\w-])["']?step["']?[ \t]*=""")
_NUMBERED = re.compile(r"step (\d+)")

_Path = tuple[str, ...]


def line_of(text: str, place: str) -> int | None:
    """Return the number of the line of a place, from 1; None if it is not found.

    Args:
        text: The text of a valid TOML document.
        place: As in a `Problem`, such as ``pipelines.vote, step 2, n``.

    """
    table, *within = place.split(", ")
    offset = _found(text, _parts(table))
    for each in within if offset is not None else ():
        offset = _inside(text, offset or 0, each)
    return None if offset is None else text.count("\n", 0, offset) + 1


def _found(text: str, wanted: _Path) -> int | None:
    """Return the offset of the key, or else of the innermost table that should have it."""
    best, depth = None, 0
    for path, offset in _paths(text):
        common = len(path) if path == wanted[: len(path)] else len(wanted) if path[: len(wanted)] == wanted else 0
        if common > depth:
            best, depth = offset, common
    return best


def _paths(text: str) -> Iterator[tuple[_Path, int]]:
    """Yield the path of each table and of each key at the beginning of a line, with its offset."""
    header: _Path = ()
    offset = 0
    for line in text.splitlines(keepends=True):
        if match := _HEADER.match(line.rstrip("\r\n")):
            header = _parts(match[1])
            yield header, offset
        elif match := _KEY.match(line):
            yield (*header, *_parts(match[1])), offset
        offset += len(line)


def _parts(dotted: str) -> _Path:
    return tuple(match[1] or match[2] or match[3] or "" for match in _PART.finditer(dotted))


def _inside(text: str, offset: int, part: str) -> int:
    """Return the offset of a step or a key after another offset; that offset if it is not found."""
    if number := _NUMBERED.fullmatch(part):
        starts = [match.start() for match in _STEP.finditer(text, offset)]
        return starts[int(number[1]) - 1] if len(starts) >= int(number[1]) else offset
    following = [match.start() for match in _STEP.finditer(text, offset)][1:]
    key = re.search(rf"""(?<![\w-])["']?{re.escape(part.partition(" ")[0])}["']?[ \t]*=""", text[offset:])
    if key is None or (following and offset + key.start() >= following[0]):
        return offset
    return offset + key.start()
