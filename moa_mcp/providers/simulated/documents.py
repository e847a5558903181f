"""Simulated answers in JSON: for a schema, a document that is valid by it, as far as the schema is simple."""

from __future__ import annotations

import json
from math import ceil

from pydantic import JsonValue

_DEPTH = 8
"""Levels of nesting up to which optional parts are filled."""
_WORDS = {"date": "2026-01-01", "date-time": "2026-01-01T00:00:00Z", "time": "00:00:00Z", "email": "a@example.com"}


def document(schema: str, text: str) -> str:
    """Return a document as JSON; `said` is the text of strings, where the schema allows it."""
    whole: JsonValue = json.loads(schema)
    return json.dumps(_Documents(whole, text).of(whole, 0), ensure_ascii=False)


class _Documents:
    """Values by the parts of one schema."""

    def __init__(self, whole: JsonValue, text: str) -> None:
        self._whole = whole
        self._text = text

    def of(self, schema: JsonValue, depth: int) -> JsonValue:
        if not isinstance(schema, dict):
            return self._text
        match schema:
            case {"const": value} | {"enum": [value, *_]}:
                return value
            case {"$ref": str(ref)}:
                return self.of(self._referred(ref), depth + 1)
            case {"anyOf": [first, *others]} | {"oneOf": [first, *others]} if "type" not in schema:
                return self.of([first, *others][-1] if depth > _DEPTH else first, depth + 1)
            case {"allOf": [_, *_] as parts}:
                return self.of(_merged(schema, parts), depth + 1)
            case _:
                return self._typed(_kind(schema), schema, depth)

    def _typed(self, kind: str, schema: dict[str, JsonValue], depth: int) -> JsonValue:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._string(schema)

    def _object(self, schema: dict[str, JsonValue], depth: int) -> JsonValue:
        properties, required = schema.get("properties"), schema.get("required")
        known = properties if isinstance(properties, dict) else {}
        needed = [str(name) for name in required] if isinstance(required, list) else []
        names = [name for name in known if depth < _DEPTH or name in needed]
        other = schema.get("additionalProperties", {})
        return {name: self.of(known.get(name, other), depth + 1) for name in dict.fromkeys((*names, *needed))}

    def _array(self, schema: dict[str, JsonValue], depth: int) -> JsonValue:
        first = schema.get("prefixItems")
        items: list[JsonValue] = [self.of(each, depth + 1) for each in first] if isinstance(first, list) else []
        least, most = _whole(schema.get("minItems"), 0), _whole(schema.get("maxItems"), 1)
        wanted = max(least, 1 if most and depth < _DEPTH and "items" in schema and not items else 0)
        while len(items) < wanted:
            items.append(self.of(schema.get("items", {}), depth + 1))
        return items

    def _string(self, schema: dict[str, JsonValue]) -> str:
        text = _WORDS.get(str(schema.get("format")), self._text)
        least, most = _whole(schema.get("minLength"), 0), _whole(schema.get("maxLength"), len(text) or 1)
        return text.ljust(least, ".")[: max(most, least)]

    def _referred(self, ref: str) -> JsonValue:
        found = self._whole
        for name in ref.removeprefix("#").strip("/").split("/"):
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if name and isinstance(found, dict) else found
        return found


def _merged(schema: dict[str, JsonValue], parts: list[JsonValue]) -> JsonValue:
    merged = {key: value for key, value in schema.items() if key != "allOf"}
    for part in parts:
        if isinstance(part, dict):
            merged = {**part, **merged}
    return merged


def _kind(schema: dict[str, JsonValue]) -> str:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return str(kinds[0]) if kinds else "string"
    if isinstance(kinds, str):
        return kinds
    if {"properties", "required", "additionalProperties"} & schema.keys():
        return "object"
    return "array" if {"items", "prefixItems"} & schema.keys() else "string"


def _number(schema: dict[str, JsonValue], *, whole: bool) -> JsonValue:
    step = _real(schema.get("multipleOf")) or 1.0
    above, below = _real(schema.get("exclusiveMinimum")), _real(schema.get("exclusiveMaximum"))
    least = _real(schema.get("minimum"))
    most = _real(schema.get("maximum"))
    low = max((each for each in (least, above) if each is not None), default=None)
    high = min((each for each in (most, below) if each is not None), default=None)
    if low is None:
        value = min(0.0, high) if high is not None else 0.0
        value = value - step if below is not None and value >= below else value
    else:
        value = ceil(low / step) * step if whole or "multipleOf" in schema else low
        value = value + step if above is not None and value <= above else value
        if high is not None and value > high or value == below:  # noqa: RUF021
            value = (low + high) / 2 if high is not None else value
    return int(value) if whole or value.is_integer() else value


def _whole(value: JsonValue, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) else otherwise


def _real(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
