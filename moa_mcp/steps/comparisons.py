"""The comparison of answers as a text for the models that merge them, and as a schema for those that make it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from moa_mcp.findings import Analysis, Contradiction, Point
from moa_mcp.values import Answer, ReplySchema

EMPTY = Analysis(())
"""An analysis without content, to measure the text around it."""


def listed(analysis: Analysis, answers: Sequence[Answer]) -> str:
    """Return an analysis as lists. It names answers by their numbers among `answers`, in brackets."""
    places = [answer.place for answer in answers]
    numbers = {at: places.index(place) + 1 for at, place in enumerate(analysis.of, 1) if place in places}

    def lines(points: Iterable[Point]) -> Iterator[str]:
        return (_said(point, numbers) for point in points)

    parts = {
        "Agreement": lines(analysis.consensus),
        "Contradictions": (_opposed(each, lines(each.positions)) for each in analysis.contradictions),
        "Treated by some only": lines(analysis.partial_coverage),
        "Found by one only": lines(analysis.unique_insights),
        "Missing in all": iter(analysis.blind_spots),
    }
    return "\n".join(line for title, items in parts.items() for line in _part(title, items))


def _part(title: str, items: Iterable[str]) -> Iterator[str]:
    yield f"{title}:"
    yield from [f"- {item}" for item in items] or ["- none"]


def _said(point: Point, numbers: Mapping[int, int]) -> str:
    named = sorted(numbers[number] for number in point.answers if number in numbers)
    if not named:
        return point.text
    which = "all" if len(named) == len(numbers) else ", ".join(map(str, named))
    return f"{point.text} ({which})"


def _opposed(contradiction: Contradiction, positions: Iterable[str]) -> str:
    return ": ".join(part for part in (contradiction.topic, "; ".join(positions)) if part)


def analysis_schema() -> ReplySchema:
    """Return the JSON schema of an analysis, of plain types: some providers reject bounds, enums and references."""
    numbers = _list({"type": "integer"})
    points = _list(_object(point={"type": "string"}, answers=numbers))
    positions = _list(_object(position={"type": "string"}, answers=numbers))
    schema = _object(
        key={"type": "string", "description": "copied from the request"},
        consensus=points,
        contradictions=_list(_object(topic={"type": "string"}, positions=positions)),
        partial_coverage=points,
        unique_insights=points,
        blind_spots=_list({"type": "string"}),
    )
    return ReplySchema("analysis", json.dumps(schema, separators=(",", ":")))


def _object(**properties: Mapping[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _list(items: Mapping[str, object]) -> dict[str, object]:
    return {"type": "array", "items": items}
