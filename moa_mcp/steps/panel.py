"""Members of a panel as agents: ``{ panel = "balanced", members = 4 }``.

A member has a provisional alias, such as ``panel:balanced:1``. When a run starts, it is replaced by the model that
this environment can call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

Tier: TypeAlias = Literal["fast", "balanced", "strong", "reasoning"]
"""Groups of models by speed, price and strength."""

TIERS: tuple[Tier, ...] = get_args(Tier)
MAX_MEMBERS = 20
_MEMBERS = 4
_ALIAS = re.compile(rf"panel:({'|'.join(TIERS)}):(\d+)")


class PanelMember(NamedTuple):
    """A member of a panel, before a model is chosen for it."""

    tier: Tier
    number: int
    """Counts from 1 among the members of its tier in a step."""

    @property
    def alias(self) -> str:
        """The provisional alias."""
        return f"panel:{self.tier}:{self.number}"


def panel_member(alias: str) -> PanelMember | None:
    """Return the member that has a provisional alias; None if the alias is not provisional."""
    found = _ALIAS.fullmatch(alias)
    return PanelMember(cast("Tier", found[1]), int(found[2])) if found else None


def single(value: object) -> object:
    """Return the agent for ``{ panel = TIER }``, which keeps its other settings; other values unchanged.

    Raises:
        ValueError: the table of the panel is not valid.

    """
    table = _panel(value)
    if table is None:
        return value
    tier = _tier(table.pop("panel"))
    if "model" in table or "members" in table:
        raise ValueError("a panel chooses the model of one agent; remove model and members")
    return {**table, "model": PanelMember(tier, 1).alias}


def expanded(entries: Sequence[object]) -> tuple[object, ...]:
    """Return agents with each panel replaced by its members, which keep the other settings of its table.

    Raises:
        ValueError: the table of a panel is not valid.

    """
    found: list[object] = []
    drawn: Counter[Tier] = Counter()
    for entry in entries:
        table = _panel(entry)
        if table is None:
            found.append(entry)
            continue
        tier, members = _tier(table.pop("panel")), _members(table.pop("members", _MEMBERS))
        if "model" in table:
            raise ValueError("a panel chooses its models; remove model")
        for _ in range(members):
            drawn[tier] += 1
            found.append({**table, "model": PanelMember(tier, drawn[tier]).alias})
    return tuple(found)


def is_panel(value: object) -> bool:
    """Whether a value is the table of a panel."""
    return isinstance(value, dict) and "panel" in value


def _panel(value: object) -> dict[str, Any] | None:
    """Return a copy of the table of a panel; None if the value is not one."""
    return dict(cast("dict[str, Any]", value)) if is_panel(value) else None


def _tier(value: object) -> Tier:
    if value not in TIERS:
        raise ValueError(f"{value!r} is not a panel; the panels are {', '.join(TIERS)}")
    return value


def _members(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_MEMBERS:
        raise ValueError(f"members = {value!r} should be a whole number from 1 to {MAX_MEMBERS}")
    return value
