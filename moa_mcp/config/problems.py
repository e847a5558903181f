"""Problems in a table of pipelines.toml, in terms of that file.

Turns pydantic's errors into problems with place, value and remedy. It reads no file and validates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import cast, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from moa_mcp.config.tables import SETTINGS
from moa_mcp.errors import Problem
from moa_mcp.text.redact import redact
from moa_mcp.text.suggest import closest

Where = tuple[str | int, ...]

_ENTRY = re.compile(r", \w+ \d+$")
"""The end of the place of a list entry."""
_LONGEST_SHOWN = 120
_HOLDS_KEY = re.compile(r"(.*_)?(api_?key(_env)?|secret|password)|key|token|(access|auth|bearer)_token", re.IGNORECASE)
_EXTRACT = 'should be "text", "last_number", "choice", { json = "field" } or { regex = "pattern" }'
_AGENT = 'should be a model, "name" or { model = "name", samples = 2 }'
_TABLES = {
    "stop": "should be a table, { ahead_by = 2 }",
    "usd_per_million": "should be a table, { prompt = 0.1, completion = 0.4 }",
}
_OUTPUT = (
    'should be "text" or a table, { json = "result", prompt_tokens = "usage.in", completion_tokens = "usage.out", '
    'cost_usd = "cost" }'
)
_UNIONS = {
    "grace_s": 'should be a number of seconds, 0 or more, or "auto"',
    "keep": 'should be a number of copies from 0 to 100, or "all"',
    "hedge": 'should be true, false or "auto"',
    "retention_days": 'should be a whole number of days, 1 or more, or "forever"',
}
"""By key, where pydantic would name the branches of a union."""
_ROUTE = 'should be a route, "provider/model" or { model = "provider/model", api_base = "http://..." }'
_SHOULD_BE = {
    "missing": "is missing",
    "too_short": "is empty; name at least one",
    "string_too_short": "is empty",
    "string_type": "should be a string",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "bool_type": "should be true or false",
    "decimal_type": "should be a number",
    "decimal_parsing": "should be a number",
    "tuple_type": "should be a list",
    "dict_type": "should be a table",
    "greater_than_equal": "should be at least {ge:g}",
    "greater_than": "should be more than {gt:g}",
    "less_than_equal": "should be at most {le:g}",
    "less_than": "should be less than {lt:g}",
    "literal_error": "should be {expected}",
    "string_pattern_mismatch": "should begin with http:// or https://",
}
_VALUE_SAYS_NOTHING = {"missing", "too_short", "string_too_short"}


def problems(kind: type[BaseModel], place: str, errors: Iterable[ErrorDetails]) -> Iterator[Problem]:
    """Yield the problems in the table at `place`, one per key."""
    seen: set[str] = set()
    for error in errors:
        where, message = _explained(kind, error)
        whole = within(place, *where)
        if whole not in seen:
            seen.add(whole)
            yield Problem(whole, message)


def within(place: str, *where: str | int) -> str:
    """Return the place of a key, or of a list entry by its index, below another place.

    Indexes count from 0, places from 1: ``within("pipelines.p", "steps", 0, "n")`` is ``pipelines.p, step 1, n``.
    """
    for part, following in zip_longest(where, where[1:]):
        if isinstance(part, int):
            place += f" {part + 1}"
        elif isinstance(following, int):
            place += f", {part.removesuffix('s')}"
        else:
            place += f"{', ' if _ENTRY.search(place) else '.'}{as_key(part)}"
    return place


def as_key(name: str) -> str:
    """Return a key as TOML writes it, quoted if necessary."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def shown(value: object, under: str = "") -> str:
    """Return a value as TOML writes it, unless its key or its form suggests a secret."""
    if _HOLDS_KEY.fullmatch(under):
        return "the value (not shown)"
    text = redact(_toml(value), {})
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def hinted(word: object, known: Iterable[str], otherwise: str) -> str:
    """Return the end of an error message: the most similar known word, if any, and the remedy `otherwise`."""
    question = meant(word, known)
    return f"{question} {otherwise[0].upper()}{otherwise[1:]}" if question else f"; {otherwise}"


def meant(word: object, known: Iterable[str]) -> str:
    """Return ", did you mean …?" with the most similar known word; empty if none is similar."""
    near = closest(str(word), known)
    return f", did you mean {near!r}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence."""
    return ", ".join(names)


def _explained(kind: type[BaseModel], error: ErrorDetails) -> tuple[Where, str]:
    """Return the place of an error in its table, and its message."""
    where, found = error["loc"], error["type"]
    under = next((part for part in reversed(where) if isinstance(part, str)), "")
    if "extract" in where and found != "value_error" and (found, under) != ("extra_forbidden", "extract"):
        return where[: where.index("extract") + 1], f"{shown(error['input'])} {_EXTRACT}"
    if "output" in where and "routes" in where:
        return where[: where.index("output") + 1], f"{shown(error['input'])} {_OUTPUT}"
    key = next((part for part in where[-2:] if part in _UNIONS), None)
    if key is not None and found != "extra_forbidden":
        return where[: where.index(key) + 1], f"{shown(error['input'])} {_UNIONS[str(key)]}"
    return where, _message(kind, where, under, error)


def _message(kind: type[BaseModel], where: Where, under: str, error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(kind, where, under)
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "model_type":
            entry = _ROUTE if "routes" in where else _AGENT
            return f"{shown(error['input'])} {_TABLES.get(under, entry)}"
        case found:
            should = _SHOULD_BE.get(found, error["msg"]).format_map(error.get("ctx", {}))
            return should if found in _VALUE_SAYS_NOTHING else f"{shown(error['input'], under)} {should}"


def _unknown_key(kind: type[BaseModel], where: Where, name: str) -> str:
    if _HOLDS_KEY.fullmatch(name):
        return "keys do not belong in this file; set api_key_env of the route to the environment variable with the key"
    owner = _owner(kind, where[:-1])
    if owner in SETTINGS.values() and (home := _other_table(owner, name)):
        return home
    known = sorted(owner.model_fields.keys() - {"name"})
    near = {*known, "temp"} - {"step"} if "temperature" in known else {*known} - {"step"}
    if name == "temp" and name in near:
        return "is short for temperature, which is also set; remove one of them"
    return f"unknown key{hinted(name, sorted(near), f'valid keys: {listed(known)}')}"


def _other_table(owner: type[BaseModel], name: str) -> str:
    """Return that a setting belongs in another table, or that one there has a similar name; empty if not."""
    homes = {key: table for table, kind in SETTINGS.items() for key in kind.model_fields}
    homes["temp"] = "defaults"
    near = closest(name, homes)
    if near is None or SETTINGS[homes[near]] is owner:
        return ""
    home = f"[{homes[near]}]"
    return f"belongs in {home}" if near == name else f"unknown key, did you mean {near!r} in {home}?"


def _owner(kind: type[BaseModel], where: Where) -> type[BaseModel]:
    """Return the kind of table at a place in a table."""
    for part in where:
        if isinstance(part, str) and part in kind.model_fields:
            kind = next(_tables(kind.model_fields[part].annotation), kind)
    return kind


def _tables(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the kinds of tables that a type allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _tables(part)


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return repr(value)
        case list():
            return f"[{listed(_toml(item) for item in cast('list[object]', value))}]"
        case dict():
            held = cast("dict[str, object]", value).items()
            return f"{{ {listed(f'{as_key(name)} = {shown(item, name)}' for name, item in held)} }}"
        case _:
            return str(value)
