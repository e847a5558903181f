"""Accepts common variants of arguments: numbers as strings, lists as JSON text, an object for a list of settings.

Each function returns the intended value if it is unambiguous. Otherwise it returns its input, which the schema then
rejects. Booleans do not count as numbers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal

from pydantic import JsonValue

from moa_mcp.text.surrogates import mended

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_LONGEST = 60
"""Maximum characters of a number as a string; longer ones would be slow to parse."""
_EXACT = 2**53
"""Above this, a float may differ from the whole number that was written."""
_NOTHING = frozenset({"", "null", "none", "undefined"})


def absent(value: JsonValue, kind: str) -> bool:
    """Whether a value says that an optional argument of this JSON type is not given."""
    if value is None:
        return True
    return kind != "string" and isinstance(value, str) and value.strip().lower() in _NOTHING


def number(value: JsonValue) -> JsonValue:
    """Return the number in a string."""
    exactly = _decimal(value)
    return value if exactly is None or math.isinf(float(exactly)) else float(exactly)


def whole(value: JsonValue) -> JsonValue:
    """Return a whole number from a string or a float: ``"7"``, ``7.0``."""
    exactly = Decimal(value) if isinstance(value, float) and math.isfinite(value) else _decimal(value)
    if exactly is None or abs(exactly) > _EXACT or exactly != exactly.to_integral_value():
        return value
    return int(exactly)


def text(value: JsonValue) -> JsonValue:
    """Return a text without lone surrogates: JSON can contain them, but they can't be encoded."""
    return mended(value) if isinstance(value, str) else value


def names(value: JsonValue) -> JsonValue:
    """Return names separated by commas from a list, also one in JSON text."""
    parsed = _parsed(value)
    if not isinstance(parsed, list):
        return value
    texts = [each for each in parsed if isinstance(each, str)]
    return ", ".join(texts) if len(texts) == len(parsed) else value


def several(value: JsonValue) -> JsonValue:
    """Return a list of texts from a single one, or from JSON text."""
    found = _parsed(value)
    return [found] if isinstance(found, str) else found


def settings(value: JsonValue) -> JsonValue:
    """Return a list of ``KEY=VALUE`` from JSON text, a single setting, an object, or a list of these."""
    value = _parsed(value)
    if isinstance(value, str):
        return [mended(value)]
    if isinstance(value, dict):
        return list(_assigned(value)) or value  # an empty object is probably a mistake
    if isinstance(value, list):
        return [setting for each in value for setting in _settings(each)]
    return value


def arguments(value: JsonValue) -> dict[str, JsonValue] | None:
    """Return the arguments of a call from JSON text or an empty list; None if they are neither.

    Some languages have a single type for both and write an empty object as an empty list.
    """
    if value in ([], ""):
        return {}
    found = _parsed(value)
    return found if isinstance(found, dict) else None


def _decimal(value: JsonValue) -> Decimal | None:
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    stripped = value.strip()
    return Decimal(stripped) if _NUMBER.fullmatch(stripped) else None


def _parsed(value: JsonValue) -> JsonValue:
    """Return the list or object in JSON text; other values unchanged. No setting begins with a bracket."""
    if not isinstance(value, str) or value.lstrip()[:1] not in {"[", "{"}:
        return value
    try:
        found: JsonValue = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found


def _settings(each: JsonValue) -> Iterator[JsonValue]:
    found = _parsed(each)
    if isinstance(found, dict):
        yield from _assigned(found)
    else:
        yield text(each)


def _assigned(table: dict[str, JsonValue]) -> Iterator[str]:
    for key, value in table.items():
        yield mended(f"{key}={value if isinstance(value, str) else _toml(value)}")


def _toml(value: JsonValue) -> str:
    """Return a value other than a string as settings write it."""
    if value is None:
        return ""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
