"""What a server's validation finds wrong in a request, in the form of pydantic's errors. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from moa_mcp.providers.replies.json_values import Json, as_list, as_object


class Detail(NamedTuple):
    """What a server's validation found wrong, as pydantic tells it."""

    name: str
    """The last part of the place that has a name: the parameter's."""
    kind: str
    told: str
    context: Json


def details(errors: Sequence[object]) -> Iterator[Detail]:
    """Yield what is wrong with each field that a list of errors names."""
    for error in map(as_object, errors):
        place = [str(part) for part in (as_list(error.get("loc")) or _tuple(error.get("loc"))) if part != "body"]
        told = error.get("msg")
        if isinstance(told, str) and "loc" in error:
            name = next((part for part in reversed(place) if not part.isdigit()), "")
            where = ".".join(place)
            yield Detail(
                name, str(error.get("type", "")), f"{where}: {told}" if where else told, as_object(error.get("ctx"))
            )


def _tuple(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple) else ()  # pyright: ignore[reportUnknownVariableType]
