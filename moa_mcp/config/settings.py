"""Finds each setting in a document: in its own table, or in `[defaults]`, which is still read.

It validates nothing; `reader` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from moa_mcp.config.tables import SETTINGS, BudgetSettings, JournalSettings, LimitSettings, PanelSettings, StepDefaults

DEFAULTS = "defaults"


class Settings(NamedTuple):
    """The tables of settings."""

    defaults: StepDefaults
    limits: LimitSettings
    budget: BudgetSettings
    journal: JournalSettings
    panels: PanelSettings


class Written(Struct, frozen=True):
    """The keys of a table of settings, as a document has them."""

    name: str
    own: Mapping[str, Any]
    """In the table itself."""
    misplaced: Mapping[str, Any]
    """In `[defaults]`."""

    @property
    def twice(self) -> list[str]:
        """Return the keys that are in both tables."""
        return [key for key in self.own if key in self.misplaced]

    def table_of(self, key: str) -> str:
        """Return the name of the table that has a key."""
        return self.name if key in self.own else DEFAULTS


def written(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Written]:
    """Return the keys of each table of settings, by its name."""
    defaults = tables[DEFAULTS]
    found = {
        name: Written(name, tables[name], {key: defaults[key] for key in defaults if key in kind.model_fields})
        for name, kind in SETTINGS.items()
        if name != DEFAULTS
    }
    moved = {key for each in found.values() for key in each.misplaced}
    own = {key: value for key, value in defaults.items() if key not in moved}
    return {DEFAULTS: Written(DEFAULTS, own, {}), **found}


def moves(found: Iterable[Written]) -> tuple[str, ...]:
    """Return one note that names the tables of misplaced keys, or none."""
    places = [f"{', '.join(each.misplaced)} to [{each.name}]" for each in found if each.misplaced]
    return (f"move these keys out of [defaults]: {'; '.join(places)}",) if places else ()
