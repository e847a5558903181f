"""Reads the comparison of answers in an analyst's reply: JSON, as it was asked for or nearly so.

An object with the key of the prompt counts, at any position. Without one, an object counts that is the whole reply, or
that the prompt does not contain: an answer may contain an analysis to be quoted. Two that differ count as none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias, cast

from moa_mcp.findings import Analysis, Contradiction, Point
from moa_mcp.places import Place
from moa_mcp.text.surrogates import mended
from moa_mcp.verdicts.objects import Object, Value, alone, objects
from moa_mcp.verdicts.reading import Asked
from moa_mcp.verdicts.replies import bare, spoken, unwrapped
from moa_mcp.verdicts.values import name

_Json: TypeAlias = "str | bool | int | float | list[_Json] | dict[str, _Json] | None"

_DEEPEST = 3
"""How deep an object is searched for the analysis, and a value for the numbers of answers."""
_PARTS = {
    "consensus": {"consensus", "agreement", "agreements"},
    "contradictions": {"contradictions", "contradiction", "disagreements", "conflicts"},
    "partial_coverage": {"partialcoverage", "partial", "partiallycovered"},
    "unique_insights": {"uniqueinsights", "unique", "insights"},
    "blind_spots": {"blindspots", "blindspot", "missing", "gaps"},
}
"""By part: its names in replies, without case and punctuation."""
_NUMBERS = {
    "answers", "answer", "by", "from", "who", "supportedby", "sources", "numbers", "assistants", "assistant",
}  # fmt: skip
_POSITIONS = ("positions", "position", "views", "sides", "claims", "answers", "says")
_ALL = re.compile(r"\W*(?:all|both|every|each)\b", re.IGNORECASE)
_NOTHING = {"", "none", "nothing", "n/a", "na", "null", "-", "…", "..."}
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+")
_OF_ANSWERS = re.compile(
    r"(?:answers?|assistants?)\s*(#?\d{1,9}(?:\s*(?:,|and|&)\s*#?\d{1,9})*)\s*[:\N{EN DASH}-]\s+", re.IGNORECASE
)
"""What a text begins with that says whose it is: ``Answers 1 and 3: …``."""


def read_analysis(reply: str, asked: Asked, of: tuple[Place, ...]) -> Analysis | None:
    """Return the analysis of the answers of these calls; None if the reply has none, or several that differ."""
    visible, sure = spoken(reply)
    text = unwrapped(visible)
    found = objects(text)
    if not found:
        return None
    whole = sure and alone(text, found) is not None
    read = [each for one in found for each in _found(text, one, asked, of)]
    keyed = [each for each in read if each.key == asked.key]
    if not keyed:
        shown = bare(asked.shown)
        keyed = [
            each
            for each in read
            if each.key is None and (whole or bare(text[each.source.start : each.source.end]) not in shown)
        ]
    different = {each.analysis for each in keyed}
    return different.pop() if len(different) == 1 else None


class _Read(NamedTuple):
    """An analysis in a reply."""

    analysis: Analysis
    key: str | None
    """None if it has none."""
    source: Object


def _found(text: str, source: Object, asked: Asked, of: tuple[Place, ...]) -> Iterator[_Read]:
    """Yield the analysis that an object is, or those inside it."""

    def within(held: _Json, key: str | None, depth: int) -> Iterator[_Read]:
        if not isinstance(held, dict) or depth > _DEEPEST:
            return
        named = [value for field, value in held.items() if name(field) == "key"]
        own = (name(named[0]) if isinstance(named[0], str) else "") if named else key
        analysis = _analysis(held, asked.answers, of)
        if analysis is not None:
            yield _Read(analysis, own, source)
            return
        for value in held.values():
            yield from within(value, own, depth + 1)

    yield from within(_decoded(text, source), None, 0)


def _decoded(text: str, source: Object) -> _Json:
    """Return an object as strict JSON reads it, or else as `objects` read it."""
    try:
        return cast("_Json", json.loads(text[source.start : source.end], strict=False))
    except (ValueError, RecursionError):
        return _plain(source)


def _plain(held: Value, depth: int = 0) -> _Json:
    if isinstance(held, str):
        try:
            return str(json.loads(f'"{held}"', strict=False))
        except ValueError:
            return held
    if depth > 2 * _DEEPEST:
        return None
    if isinstance(held, list):
        return [_plain(each, depth + 1) for each in held]
    return {field: _plain(each, depth + 1) for field, each in held.fields} if isinstance(held, Object) else held


def _analysis(held: Mapping[str, _Json], count: int, of: tuple[Place, ...]) -> Analysis | None:
    """Return the analysis that an object has; None if it says nothing, unless it has all lists, and they are empty."""
    parts = {part: _first(held, names.__contains__) for part, names in _PARTS.items()}
    analysis = Analysis(
        of,
        tuple(_points(parts["consensus"], count)),
        tuple(_contradictions(parts["contradictions"], count)),
        tuple(_points(parts["partial_coverage"], count)),
        tuple(_points(parts["unique_insights"], count)),
        tuple(point.text for point in _points(parts["blind_spots"], count)),
    )
    is_one = analysis != Analysis(of) or all(isinstance(part, list) for part in parts.values())
    return analysis if is_one else None


def _first(held: Mapping[str, _Json], wanted: Callable[[str], bool]) -> _Json:
    return next((value for field, value in held.items() if wanted(name(field))), None)


def _points(held: _Json, count: int) -> Iterator[Point]:
    """Yield the statements of a list, of the lines of a text, or of an object that has them by number."""
    match held:
        case str():
            for line in held.splitlines() if "\n" in held else [held]:
                yield from _point(_BULLET.sub("", line), (), count)
        case list():
            for item in held:
                if isinstance(item, dict):
                    yield from _of_item(item, count)
                elif not isinstance(item, list):
                    yield from _points(item, count)
        case dict() if _text(held) is not None and _first(held, _NUMBERS.__contains__) is not None:
            yield from _of_item(held, count)
        case dict():
            yield from _by_number(held, count)
        case _:
            pass


def _by_number(held: Mapping[str, _Json], count: int) -> Iterator[Point]:
    for field, value in held.items():
        if isinstance(value, str):
            yield from _point(value, _numbers(field, count), count)


def _of_item(item: Mapping[str, _Json], count: int) -> Iterator[Point]:
    numbers = _first(item, _NUMBERS.__contains__)
    yield from _point(_text(item) or "", _numbers(numbers, count), count)


def _text(item: Mapping[str, _Json]) -> str | None:
    """Return the text of an item: the first one that is not the name of answers."""
    texts = (value for field, value in item.items() if isinstance(value, str) and name(field) not in _NUMBERS)
    return next(texts, None)


def _point(text: str, numbers: tuple[int, ...], count: int) -> Iterator[Point]:
    """Yield the statement of a text, unless it is empty."""
    line = _line(text)
    if not numbers and (match := _OF_ANSWERS.match(line)):
        line, numbers = line[match.end() :], _numbers(match[1], count)
    if line.casefold().rstrip(".") not in _NOTHING:
        yield Point(line, numbers)


def _contradictions(held: _Json, count: int) -> Iterator[Contradiction]:
    if isinstance(held, dict) and not any(name(field) in _POSITIONS for field in held):
        held = [{"topic": field, "positions": value} for field, value in held.items()]
    for item in held if isinstance(held, list) else [held]:
        if not isinstance(item, dict):
            yield from (Contradiction(point.text, ()) for point in _points(item, count))
            continue
        topic = _line(_text(item) or "")
        at = next((field for each in _POSITIONS for field in item if name(field) == each), None)
        positions = () if at is None else tuple(_points(item[at], count))
        if topic.casefold() not in _NOTHING or positions:
            yield Contradiction(topic, positions)


def _numbers(held: _Json, count: int, depth: int = 0) -> tuple[int, ...]:
    """Return the numbers of answers in a value, sorted: ``[1, 3]``, ``"Answers 1 and 3"``, ``"all"``."""
    match held:
        case bool():
            return ()
        case list() | dict() if depth > _DEEPEST:
            return ()
        case int() | float():
            found = [held]
        case str() if _ALL.match(held):
            return tuple(range(1, count + 1))
        case str():
            found = [int(digits) for digits in re.findall(r"(?<!\d)\d{1,9}(?!\d)", held)]
        case list():
            found = [number for each in held for number in _numbers(each, count, depth + 1)]
        case dict():
            return _numbers(_first(held, _NUMBERS.__contains__), count, depth + 1)
        case _:
            return ()
    return tuple(sorted({int(number) for number in found if number in range(1, count + 1)}))


def _line(text: str) -> str:
    """Return a text on one line, without lone surrogates."""
    return " ".join(mended(text).split())
