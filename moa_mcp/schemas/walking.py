"""The schemas inside a schema, each with its place. Values of `const`, `enum` and `default` are not schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from pydantic import JsonValue

Place: TypeAlias = tuple[str, ...]
"""Names and positions that lead to a schema, as in a JSON pointer."""

BESIDE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""Keywords whose schemas apply to the same value."""
_NAMED = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"),
    *("unevaluatedItems", "unevaluatedProperties"),
)


class Subschema(NamedTuple):
    """A schema that is an object, at a place in the whole."""

    place: Place
    held: dict[str, JsonValue]


def subschemas(schema: dict[str, JsonValue]) -> Iterator[Subschema]:
    """Yield a schema and all those inside of it, an outer one before those in it."""
    waiting = [Subschema((), schema)]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += inner(each)


def inner(outer: Subschema) -> Iterator[Subschema]:
    """Yield the schemas directly inside of one."""
    for keyword, value in outer.held.items():
        at = (*outer.place, keyword)
        match value:
            case dict() if keyword in _SINGLE:
                yield Subschema(at, value)
            case dict() if keyword in _NAMED:
                yield from (Subschema((*at, name), each) for name, each in value.items() if isinstance(each, dict))
            case list() if keyword in _LISTED:
                yield from (Subschema((*at, str(n)), each) for n, each in enumerate(value) if isinstance(each, dict))
            case _:
                pass


def pointer(place: Place) -> str:
    """Return a place as a JSON pointer; `#` for the whole."""
    return "/".join(("#", *(name.replace("~", "~0").replace("/", "~1") for name in place)))
