"""Reads validation errors of a server in pydantic's form. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from moa_mcp.providers.replies.json_values import Json, as_list, as_object


class Detail(NamedTuple):
    """One validation error, in pydantic's form."""

    name: str
    """The last named part of its location: the parameter."""
    kind: str
    message: str
    context: Json


def details(errors: Sequence[object]) -> Iterator[Detail]:
    """Yield the validation errors of a list."""
    for error in map(as_object, errors):
        place = [str(part) for part in (as_list(error.get("loc")) or _tuple(error.get("loc"))) if part != "body"]
        message = error.get("msg")
        if isinstance(message, str) and "loc" in error:
            name = next((part for part in reversed(place) if not part.isdigit()), "")
            where = ".".join(place)
            yield Detail(
                name,
                str(error.get("type", "")),
                f"{where}: {message}" if where else message,
                as_object(error.get("ctx")),
            )


def _tuple(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple) else ()  # pyright: ignore[reportUnknownVariableType]
