"""Narrows JSON values of unknown type to an object or a list; other values become an empty one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def as_object(value: object) -> Json:
    """Return the value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def as_list(value: object) -> Sequence[object]:
    """Return the value if it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
