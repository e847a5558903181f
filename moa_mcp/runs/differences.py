"""The settings in which two stored runs differ: those of the runs, and those of their steps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from pydantic import JsonValue

from moa_mcp.journal import RunRecord
from moa_mcp.journal.damage import readable

_Table: TypeAlias = Mapping[str, JsonValue]
_OF_A_RUN = ("seed", "max_cost_usd", "deadline_s")


class Difference(NamedTuple):
    """A setting that two runs do not share."""

    step: int | None
    """The number of the step, from 1; None for a setting of the whole run."""
    setting: str
    """Its key in pipelines.toml or on the command line."""
    one: str | None
    """Its value in the first run, as text; None if it is not set."""
    other: str | None


def differences(one: RunRecord, other: RunRecord) -> tuple[Difference, ...]:
    """Return the settings that differ, those of the runs first. Raises `JournalError` if a record can't be read."""
    return tuple(_differing(_read(one), _read(other)))


def _read(record: RunRecord) -> dict[str, JsonValue]:
    with readable(record.run_id):
        stored: dict[str, JsonValue] = json.loads(record.spec)
        spec = _table(stored["spec"])
        run = {"pipeline": record.pipeline, "models": "simulated" if stored["simulated"] else "real"}
        return {**run, **{name: spec.get(name) for name in _OF_A_RUN}, "steps": _table(spec["pipeline"])["steps"]}


def _differing(one: _Table, other: _Table) -> Iterator[Difference]:
    yield from _in_tables(None, {**one, "steps": None}, {**other, "steps": None})
    for number, (first, second) in enumerate(zip_longest(_steps(one), _steps(other)), 1):
        if first is None or second is None or first["step"] != second["step"]:
            one_kind, other_kind = (None if each is None else _text(each["step"]) for each in (first, second))
            yield Difference(number, "step", one_kind, other_kind)
        else:
            yield from _in_tables(number, first, second)


def _in_tables(step: int | None, one: _Table, other: _Table) -> Iterator[Difference]:
    for key in dict.fromkeys((*one, *other)):
        first, second = one.get(key), other.get(key)
        if first != second:
            yield Difference(step, key, _text(first), _text(second))


def _steps(run: _Table) -> list[_Table]:
    steps = run["steps"]
    return [_table(step) for step in steps] if isinstance(steps, list) else []


def _table(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _text(value: JsonValue) -> str | None:
    """Return a value as a person would write it; None for a setting without a value."""
    match _brief(value):
        case None:
            return None
        case str() as text:
            return text
        case list() as items if all(isinstance(item, str) for item in items):
            return ", ".join(map(str, items))
        case brief:
            return json.dumps(brief, ensure_ascii=False)


def _brief(value: JsonValue) -> JsonValue:
    """Return a value without the keys of its tables that are not set; an agent that has nothing else is its model."""
    if isinstance(value, list):
        return [_brief(item) for item in value]
    if not isinstance(value, dict):
        return value
    held = {key: _brief(item) for key, item in value.items() if item is not None and (key, item) != ("samples", 1)}
    return held["model"] if [*held] == ["model"] else held
