"""Checks the schema of a user before anything is paid: valid, small, without references to elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote

from pydantic import JsonValue

from moa_mcp.schemas import patterns
from moa_mcp.schemas.strict_json import NotJson, dumped, parsed
from moa_mcp.schemas.validation import fault_of_schema
from moa_mcp.schemas.walking import BESIDE, Subschema, inner, pointer, subschemas
from moa_mcp.text.redact import redact

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OLDER = re.compile(r"https?://json-schema\.org/(draft-0[67]|draft/2019-09)/schema")
"""Drafts that many libraries name. Without the keywords below, a schema of them means the same."""
_REPLACED = {
    "additionalItems": "prefixItems and items",
    "dependencies": "dependentRequired or dependentSchemas",
    "$recursiveRef": "$dynamicRef",
}
"""Keywords of older drafts, which would have no effect, and what replaces them."""
MOST_CHARACTERS = 20_000
"""Of a schema on one line. Prompts have all of it."""
_MOST_WRITTEN = 10 * MOST_CHARACTERS
"""As it is written, with spaces and line breaks."""
_SHOWN = 300


class SchemaRefused(ValueError):
    """A schema can't be used. The message follows its name, and has the place in it and a remedy."""


def checked_value(value: object) -> str:
    """Return a schema that is an object, or the JSON text of one, as `checked` does."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (RecursionError, TypeError, ValueError) as error:
        raise SchemaRefused(f"is not JSON: {error}") from error
    return checked(text)


def fault_of_answer_schema(text: str | None) -> str:
    """Return why the answer schema of a question can't be used; empty if it can, or there is none."""
    try:
        if text is not None:
            checked(text)
    except SchemaRefused as error:
        return f"the answer schema {error}"
    return ""


@lru_cache(maxsize=64)
def checked(text: str) -> str:
    """Return a JSON Schema on one line.

    Raises:
        SchemaRefused: it is invalid, or may refer to something outside of it, or takes too long to use.

    """
    if len(text) > _MOST_WRITTEN:
        raise _too_long(len(text))
    try:
        schema = parsed(text)
    except NotJson as error:
        raise SchemaRefused(f"is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise SchemaRefused('should be an object, such as {"type": "object"}')
    schema = _of_this_draft(schema)
    line = dumped(schema)
    if len(line) > MOST_CHARACTERS:
        raise _too_long(len(line))
    if (found := fault_of_schema(schema)) is not None:
        raise _refused(pointer(found.place), found.message)
    for place, fault in _faults(schema):
        raise _refused(place, fault)
    return line


def _of_this_draft(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    dialect = schema.get("$schema", DIALECT)
    named = dialect.rstrip("#") if isinstance(dialect, str) else ""
    if _OLDER.fullmatch(named):
        return {name: value for name, value in schema.items() if name != "$schema"}
    if named != DIALECT:
        raise _refused("#/$schema", f"use draft 2020-12, {DIALECT}, or remove $schema")
    return schema


def _too_long(length: int) -> SchemaRefused:
    return SchemaRefused(f"has {length:,} characters; use at most {MOST_CHARACTERS:,}, since prompts have all of it")


def _refused(place: str, fault: str) -> SchemaRefused:
    return SchemaRefused(f"is invalid at {_shown(place)}: {_shown(fault)}")


def _shown(text: str) -> str:
    """Return a text, which may quote the schema, without keys and not too long."""
    shown = redact(text)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"


def _faults(schema: dict[str, JsonValue]) -> Iterator[tuple[str, str]]:
    """Yield what a valid schema may not have, each with its place."""
    every = {pointer(each.place): each for each in subschemas(schema)}
    anchors = {f"#{name}": at for at, each in every.items() for name in _anchors(each)}
    places = {**dict.fromkeys(every, ""), **anchors}
    for at, each in every.items():
        yield from ((at, fault) for fault in _faults_of(each, places))
    has = {keyword for each in every.values() for keyword in each.held}
    if {"unevaluatedProperties", "patternProperties"} <= has:
        yield "#", "unevaluatedProperties beside patternProperties is not supported; use additionalProperties"
    yield from ((at, "it refers to itself without an end") for at in _endless(every, anchors))


def _anchors(each: Subschema) -> Iterator[str]:
    for keyword in ("$anchor", "$dynamicAnchor"):
        if isinstance(name := each.held.get(keyword), str):
            yield name


def _faults_of(each: Subschema, places: Mapping[str, str]) -> Iterator[str]:
    held = each.held
    for keyword, now in _REPLACED.items():
        if keyword in held:
            yield f"{keyword} is a keyword of an older draft; use {now}"
    if each.place and "$id" in held:
        yield "$id is only allowed at the top"
    for keyword in ("$ref", "$dynamicRef"):
        to = held.get(keyword)
        if isinstance(to, str) and not to.startswith("#"):
            yield f"{keyword} leads out of the schema; copy what it refers to into $defs and write #/$defs/NAME"
        elif isinstance(to, str) and unquote(to) not in places:
            yield f"{keyword} {to!r} leads to no schema; define it in $defs and write #/$defs/NAME"
    named = held.get("patternProperties")
    for pattern in (held.get("pattern"), *(named if isinstance(named, dict) else ())):
        if isinstance(pattern, str) and (fault := patterns.refusal(pattern)) is not None:
            yield fault


def _endless(every: Mapping[str, Subschema], anchors: Mapping[str, str]) -> Iterator[str]:
    """Yield the places of schemas that apply themselves to the same value again."""
    to = {at: tuple(_beside(each, anchors)) for at, each in every.items()}
    open_to = {at: len(others) for at, others in to.items()}
    leads_to: dict[str, list[str]] = {at: [] for at in every}
    for at, others in to.items():
        for other in others:
            leads_to[other].append(at)
    ended = [at for at, count in open_to.items() if not count]
    while ended:  # what leads only to schemas that end ends itself
        for at in leads_to[ended.pop()]:
            open_to[at] -= 1
            if not open_to[at]:
                ended.append(at)
    yield from (at for at, count in open_to.items() if count)


def _beside(each: Subschema, anchors: Mapping[str, str]) -> Iterator[str]:
    """Yield the places of the schemas that a schema applies to the same value."""
    depth = len(each.place)
    yield from (pointer(other.place) for other in inner(each) if other.place[depth] in BESIDE)
    for keyword in ("$ref", "$dynamicRef"):
        if isinstance(to := each.held.get(keyword), str):
            yield anchors.get(unquote(to)) or unquote(to)
