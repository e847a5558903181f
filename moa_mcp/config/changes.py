"""What differs between two configurations, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from moa_mcp.config.tables import SETTINGS, Config

AT_START = frozenset({"journal.record", "journal.durability", "journal.resume"})
"""Settings that a process reads only when it starts."""


def changes(before: Config, after: Config) -> tuple[str, ...]:
    """Return what differs, such as ``pipelines: added fast, removed slow`` or ``limits.concurrency = 8``."""
    tables = {
        "pipelines": (before.pipelines, after.pipelines),
        "models": (before.models, after.models),
        "stand-ins": (before.stand_ins, after.stand_ins),
    }
    found = [f"{name}: {text}" for name, pair in tables.items() if (text := _of_names(*pair))]
    for name in SETTINGS:
        if name != "defaults":  # they are part of the pipelines
            found += _of_settings(name, getattr(before, name), getattr(after, name))
    return tuple(found)


def _of_names(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    both = before.keys() & after.keys()
    kinds = {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "changed": [name for name in after if name in both and before[name] != after[name]],
    }
    return ", ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names)


def _of_settings(table: str, before: BaseModel, after: BaseModel) -> list[str]:
    found: list[str] = []
    for key in type(after).model_fields:
        value = getattr(after, key)
        if value != getattr(before, key):
            later = " (at the next start)" if f"{table}.{key}" in AT_START else ""
            found.append(f"{table}.{key} = {'none' if value is None else value}{later}")
    return found
