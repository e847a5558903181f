"""JSON that all readers read alike: no repeated names, huge numbers, lone surrogates or deep nesting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from math import isinf

from pydantic import JsonValue

MOST_LEVELS = 64
"""Maximum nesting of objects and lists: some readers of JSON fail beyond a hundred."""


class NotJson(ValueError):
    """A text is not one JSON value, or one that readers would read differently. The message says where."""


def parsed(text: str, *, lenient: bool = False) -> JsonValue:
    """Return the value of a JSON text. With `lenient`, strings may span lines. Raises `NotJson`."""
    try:
        value: JsonValue = json.loads(
            text, parse_constant=_constant, parse_float=_float, object_pairs_hook=_object, strict=not lenient
        )
    except NotJson:
        raise
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError) as error:  # whole numbers with thousands of digits; thousands of levels
        raise NotJson("a number is too long, or it is nested too deeply") from error
    if levels(value) > MOST_LEVELS:
        raise NotJson(f"it is nested in more than {MOST_LEVELS} levels")
    try:
        dumped(value).encode()
    except UnicodeEncodeError as error:
        raise NotJson("a string has half of a surrogate pair") from error
    return value


def dumped(value: JsonValue) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def indented(value: JsonValue, *, escapes: bool = False) -> str:
    """Return a value as JSON with a line for each part; with `escapes`, in ASCII."""
    return json.dumps(value, ensure_ascii=escapes, indent=2)


def levels(value: JsonValue) -> int:
    """Return in how many objects and lists the innermost value is."""
    count, level = 0, [value]
    while inner := [held for each in level for held in _held(each)]:
        count, level = count + 1, inner
    return count + any(isinstance(each, dict | list) for each in level)


def _held(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    held = dict(pairs)
    if len(held) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in held if counts[name] > 1)
        raise NotJson(f"the name {json.dumps(twice)} occurs twice in an object")
    return held


def _constant(word: str) -> JsonValue:
    raise NotJson(f"{word} is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise NotJson(f"the number {text[:20]} is too large")
    return number
