"""Steps and pipelines as TOML, as a user writes them: without what the defaults set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias, cast

from moa_mcp.config import StepDefaults
from moa_mcp.steps import Step
from moa_mcp.steps.panel import panel_member

Table: TypeAlias = dict[str, Any]
Member: TypeAlias = str | Table
"""A member as it is written: a name, or a table."""

_DEL = "\x7f"
"""The one control character that JSON does not escape and TOML requires to be."""


def pipeline_text(name: str, settings: Mapping[str, object], steps: Iterable[Mapping[str, object]]) -> str:
    """Return a pipeline as TOML, a line for each step."""
    lines = [f"[pipelines.{name}]", *(f"{key} = {_value(value)}" for key, value in settings.items()), "steps = ["]
    return "\n".join([*lines, *(f"    {_value(step)}," for step in steps), "]", ""])


def step_table(step: Step, defaults: StepDefaults) -> Table:
    """Return a step as it is written, without what the defaults set."""
    table: Table = step.model_dump(exclude_defaults=True, by_alias=True)
    usual: Table = defaults.model_dump()
    own = {key: value for key, value in table.items() if value is not None and usual.get(key, _UNSET) != value}
    if "agents" in own:
        own["agents"] = _members(own["agents"])
    for key in ("agent", "fallback_agent"):
        if key in own:
            own[key] = _single(own[key])
    return {"step": step.step, **own}


_UNSET = object()


def model_of(member: Member) -> str:
    """Return the name of a member's model; empty for a panel."""
    return member if isinstance(member, str) else str(member.get("model", ""))


def renamed(member: Member, name: str, other: str) -> Member:
    """Return a member with another model, if it has that name."""
    if model_of(member) != name:
        return member
    return other if isinstance(member, str) else {**member, "model": other}


def _members(agents: Iterable[Table]) -> list[Member]:
    """Return members as they are written; those of a panel as one table."""
    found: list[Member] = []
    for each in agents:
        model = str(each["model"])
        member = panel_member(model) if set(each) == {"model"} else None
        before = found[-1] if found else ""
        if member is None:
            found.append(model if set(each) == {"model"} else each)
        elif not isinstance(before, str) and before.get("panel") == member.tier:
            before["members"] += 1
        else:
            found.append({"panel": member.tier, "members": 1})
    return found


def _single(agent: Member) -> Member:
    member = panel_member(agent) if isinstance(agent, str) else None
    return agent if member is None or member.number > 1 else {"panel": member.tier}


def _value(value: object) -> str:
    """Return a value as TOML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace(_DEL, "\\u007f")
        case int() | float() | Decimal():
            return str(value)
        case Mapping():
            table = cast("Mapping[str, object]", value)
            return f"{{ {', '.join(f'{_key(key)} = {_value(each)}' for key, each in table.items())} }}"
        case _:
            return f"[{', '.join(map(_value, cast('Iterable[object]', value)))}]"


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _value(key)
