"""Extracts the value of a field of the JSON object in an answer.

The last object in the text with the field counts, and an outer object before those nested in it. Numbers are compared
by value (``7`` equals ``7.0``) and texts as in `texts`; other values are compared as JSON with sorted keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, TypeAlias

from moa_mcp.extraction.numerals import written
from moa_mcp.extraction.texts import whole_text

_MARK = re.compile(r'[{}"]')
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_TRAILING_COMMA = re.compile(r",(?=\s{0,200}[}\]])")
_MOST_LOOKS = 4
"""Maximum characters decoded, as a multiple of the answer's length: invalid nested objects are decoded once each."""


_Json: TypeAlias = dict[str, "_Json"] | list["_Json"] | str | Decimal | float | bool | None


def json_value(text: str) -> str | None:
    """Return the value of a text that is JSON and nothing else, as that of a field; None if it is not, or null."""
    return _folded(_decoded(text))


class _Span(NamedTuple):
    start: int
    end: int


def json_field(answer: str, name: str) -> str | None:
    """Return the value of a field of the last JSON object that has it; None if no object has it."""
    left = _MOST_LOOKS * len(answer) + 1000
    skipped = len(answer)
    for span in _objects(answer):
        if span.end > skipped:  # nested in an object that was decoded
            continue
        left -= span.end - span.start
        if left < 0:
            return None
        if answer.find('"', span.start, span.end) < 0:
            continue
        decoded = _decoded(answer[span.start : span.end])
        if decoded is None:
            continue
        skipped = span.start
        for held in _nested(decoded):
            if name in held:
                return _folded(held[name])
    return None


def _objects(text: str) -> list[_Span]:
    """Return the spans of balanced braces, the last first and an outer one before those nested in it."""
    spans: list[_Span] = []
    opened: list[int] = []
    at = no_strings_before = 0
    while found := _MARK.search(text, at):
        at = found.end()
        match found[0]:
            case "{":
                opened.append(found.start())
            case "}" if opened:
                spans.append(_Span(opened.pop(), at))
            case '"' if opened and at > no_strings_before:
                if string := _STRING.match(text, found.start()):
                    at = string.end()
                else:  # an unclosed quote on a line is an ordinary character
                    no_strings_before = text.find("\n", at) + 1 or len(text) + 1
            case _:
                pass
    return sorted(spans, key=lambda span: (-span.end, span.start))


def _decoded(text: str) -> _Json:
    for candidate in (text, _TRAILING_COMMA.sub("", text)):
        try:
            decoded: _Json = json.loads(candidate, parse_float=Decimal, parse_int=Decimal)
        except (ValueError, InvalidOperation, RecursionError):
            continue
        return decoded
    return None


def _nested(value: _Json) -> Iterator[dict[str, _Json]]:
    """Yield an object and those nested in it: outer before inner, later before earlier."""
    level = [value]
    while level:
        yield from (each for each in reversed(level) if isinstance(each, dict))
        level = [inner for each in level for inner in _held(each)]


def _held(value: _Json) -> Iterable[_Json]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _folded(value: _Json) -> str | None:
    match value:
        case None:
            return None
        case str():
            return whole_text(value)
        case Decimal():
            return written(value)
        case _:
            try:
                return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)
            except RecursionError:
                return None


def _plain(value: _Json) -> object:
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case str() | Decimal():
            return _folded(value)
        case _:
            return value
