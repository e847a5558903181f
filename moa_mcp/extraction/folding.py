"""Normalizes equivalent characters: widths, digits, quotes, dashes, invisible characters.

The first step of `texts`, `choices` and `numbers`. Superscripts and vulgar fractions are spelled out first, since NFKC
would turn ``10²`` into ``102`` and ``3½`` into ``31⁄2``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋"
_PLAIN = str.maketrans(_RAISED + _LOWERED, "0123456789+-" * 2)
_POWER = re.compile(f"[{_RAISED}]+")
_INDEX = re.compile(f"[{_LOWERED}]+")
_VULGAR = re.compile("([0-9]?)([\u00bc-\u00be\u2150-\u215e\u2189])")
_MOST_MARKS = 30
"""Maximum combining marks in a row, as in Unicode's stream-safe format: sorting them takes quadratic time."""

_ALIKE = {
    '"': "\u00ab\u00bb\u201c\u201d\u201e\u201f\u2039\u203a\u300c\u300d\u300e\u300f\u301d\u301e\u301f\uff02",
    "'": "\u2018\u2019\u201a\u201b\u2032\u02bc\uff07\u0060\u00b4",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d",
    "/": "\u2044\u2215\uff0f",
}
QUOTES_AND_DASHES = {ord(each): plain for plain, others in _ALIKE.items() for each in others}


def folded(text: str) -> str:
    """Return the text in NFKC with ASCII digits and without invisible characters."""
    if text.isascii():
        return _without_controls(text)
    text = _INDEX.sub(lambda found: f"_{found[0].translate(_PLAIN)}", text)
    text = _POWER.sub(lambda found: f"^{found[0].translate(_PLAIN)}", text)
    text = _VULGAR.sub(lambda found: _spelled(found[1], found[2]), text)
    text = unicodedata.normalize("NFKC", _stream_safe(text))
    return _without_controls("".join(map(_plain, text)))


@cache
def _spelled(whole: str, character: str) -> str:
    """Return a fraction in ASCII digits, separated from the whole number before it."""
    fraction = unicodedata.normalize("NFKC", character).replace("\u2044", "/")
    return f"{whole} {fraction}" if whole else fraction


def _stream_safe(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


@cache
def _plain(character: str) -> str:
    """Return a character without variants of its script; an empty text for an invisible one."""
    if character.isascii():
        return character
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.decimal(character))
    return _MARKS.get(character, "" if unicodedata.category(character) == "Cf" else character)


_MARKS = {"\u066a": "%", "\u2044": "/", "\u2215": "/", "\u066c": "'", "\u2028": "\n", "\u2029": "\n"}
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def _without_controls(text: str) -> str:
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
