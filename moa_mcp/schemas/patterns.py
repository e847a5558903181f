"""Regular expressions in the schemas of users, who may be strangers: neither compiling nor searching may take long."""

from __future__ import annotations

import re
from typing import NamedTuple

from moa_mcp.extraction.patterns import compiled, fault_of

MOST_CHARACTERS = 500
_MOST_WEIGHT = 5_000
"""The compiler repeats what is in braces: `((a{1000}){1000}){1000}` would take all memory."""
_MOST_DIGITS = 4

_TOKEN = re.compile(
    r"(?P<option>\(\?(?![:=!]|<[=!]|P?<[A-Za-z_]))"
    r"|\\.|\[(?:\\.|[^\]\\])*\]?|(?P<counted>\{(?P<least>\d*)(?P<more>,(?P<most>\d*))?\})|.",
    re.DOTALL,
)


class _Group(NamedTuple):
    weight: int
    last: int
    """Weight of its last part, which a count repeats."""


def refusal(pattern: str) -> str | None:
    """Return why a schema may not have this regular expression; None if it may."""
    if len(pattern) > MOST_CHARACTERS:
        return f"a regular expression may have {MOST_CHARACTERS} characters, not {len(pattern)}"
    if (fault := _heavy(pattern)) is not None:
        return fault
    fault = fault_of(pattern)
    return None if fault is None else f"{_short(pattern)} is not a regular expression as Python reads it: {fault}"


def _heavy(pattern: str) -> str | None:
    outer: list[_Group] = []
    group = _Group(0, 0)
    for found in _TOKEN.finditer(pattern):
        if found["option"]:
            return f"{_short(pattern)} has an option after (?; only groups and looking ahead or behind are allowed"
        if found[0] == "(":
            outer.append(group)
            group = _Group(0, 0)
        elif found[0] == ")" and outer:
            before = outer.pop()
            group = _Group(before.weight + group.weight, group.weight)
        elif found["counted"] and (found["least"] or found["most"]):
            digits = found["most"] or found["least"]
            times = int(digits) if len(digits) <= _MOST_DIGITS else _MOST_WEIGHT + 1
            group = _Group(group.weight + group.last * max(times - 1, 0), group.last * max(times, 1))
        else:
            group = _Group(group.weight + 1, 1)
        if max(group) > _MOST_WEIGHT:
            return f"{_short(pattern)} repeats too much: counts in braces may come to {_MOST_WEIGHT} characters"
    return None


def _short(pattern: str) -> str:
    return repr(pattern if len(pattern) <= 60 else f"{pattern[:59]}…")  # noqa: PLR2004


def occurs(pattern: str, text: str, within_s: float) -> bool:
    """Return whether a pattern matches anywhere in a text. Raises `TimeoutError` after `within_s` seconds."""
    return compiled(pattern).search(text, timeout=max(within_s, 0.001), concurrent=True) is not None
