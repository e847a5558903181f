"""Which schemas providers take as a form for a reply.

OpenAI's strict mode: https://platform.openai.com/docs/guides/structured-outputs, "Supported schemas": the root is an
object and not `anyOf`; all properties are required and no others allowed; at most 5,000 properties in 10 levels and
1,000 values of `enum`. Anthropic takes no recursion, no bounds of numbers and no lengths; Gemini no object without
properties. A schema within all of these limits is sent as strict.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic import JsonValue

from moa_mcp.schemas.strict_json import parsed
from moa_mcp.schemas.walking import Subschema, subschemas
from moa_mcp.values import Sending

_KEYWORDS = frozenset(
    {
        *("$defs", "$ref", "$schema", "additionalProperties", "anyOf", "const", "description", "enum", "items"),
        *("properties", "required", "title", "type"),
    }
)
_HUGE = re.compile(r"[0-9]{19}")
"""A number beyond 64 bits, which many readers of JSON reject."""
_MOST_PROPERTIES = 100
_MOST_LEVELS = 5
_MOST_VALUES = 250


@lru_cache(maxsize=64)
def sending(schema: str) -> Sending:
    """Return how a checked schema is sent to providers that take one."""
    whole = parsed(schema)
    if not isinstance(whole, dict) or whole.get("type") != "object" or "anyOf" in whole or _HUGE.search(schema):
        return "never"
    every = [*subschemas(whole)]
    properties = sum(len(_properties(each)) for each in every)
    values = sum(len(found) for each in every if isinstance(found := each.held.get("enum"), list))
    deepest = max(sum(name in {"properties", "items"} for name in each.place) for each in every)
    small = properties <= _MOST_PROPERTIES and values <= _MOST_VALUES and deepest <= _MOST_LEVELS
    return "strict" if small and all(map(_is_strict, every)) else "loose"


def _is_strict(each: Subschema) -> bool:
    held = each.held
    if not held.keys() <= _KEYWORDS or not {"type", "anyOf", "$ref", "enum", "const"} & held.keys():
        return False
    if str(held.get("$ref", "#/$defs/")).count("/") != 2 or "$ref" in held and each.place[:1] == ("$defs",):  # noqa: PLR2004, RUF021
        return False  # to the root or into another schema, or possibly recursive
    kinds = held.get("type")
    if kinds == "array" and not isinstance(held.get("items"), dict):
        return False
    return "object" not in (kinds if isinstance(kinds, list) else [kinds]) or _is_closed(each)


def _is_closed(each: Subschema) -> bool:
    properties, required = _properties(each), each.held.get("required")
    every = isinstance(required, list) and set(map(str, required)) == set(properties)
    return bool(properties) and every and each.held.get("additionalProperties") is False


def _properties(each: Subschema) -> dict[str, JsonValue]:
    found = each.held.get("properties")
    return found if isinstance(found, dict) else {}
