"""The confidence that an answer states in a line of its own at its end: ``Confidence: 85``."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_LINE = re.compile(
    r"[\W_]*(?:(?:my|final|overall) )?confidence(?: (?:level|score|rating))?"
    r"(?:\s*[(\[](?:0\s*(?:[-\N{EN DASH}]|to)\s*100|out of 100)\s*%?[)\]])?"
    r"(?P<mark>[\W_]*?)(?P<number>\d{1,3}(?:\.\d{1,4})?)\s*"
    r"(?:%|percent|/\s*100|(?:out )?of 100)?[\W_]*",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"[:=].*[-\N{MINUS SIGN}]", re.DOTALL)
_FIELD = re.compile(r"""[{,\s]*(["'])[\w ]+\1\s*:""")
"""What a line begins with that is a field of an object, such as ``"confidence": 85``."""
_LAST_LINES = 3
_LONGEST = 80
_MOST = 100.0


class Stated(NamedTuple):
    """An answer without the line that states its confidence."""

    text: str
    confidence: float | None
    """From 0 to 100; None if no line states it."""


def stated(text: str) -> Stated:
    """Return the confidence that one of the last lines states, and the text without that line.

    ``0.85`` is 85, since no one states less than one percent with a decimal point. A text that is nothing but this line
    stays as it is, and so does one in which the line is a field of an object.
    """
    lines = text.rstrip().split("\n")
    filled = [at for at, line in enumerate(lines) if line.strip()]
    for at in reversed(filled[-_LAST_LINES:]):
        confidence = _read(lines[at])
        if confidence is not None:
            if _FIELD.match(lines[at]):
                return Stated(text, confidence)
            rest = "\n".join([*lines[:at], *lines[at + 1 :]]).rstrip()
            return Stated(rest, confidence) if rest.strip() else Stated(text, None)
    return Stated(text, None)


def _read(line: str) -> float | None:
    found = _LINE.fullmatch(unicodedata.normalize("NFKC", line).strip()) if len(line) <= _LONGEST else None
    if found is None or _NEGATIVE.search(found["mark"]):
        return None
    number = float(found["number"])
    if "." in found["number"] and number <= 1:
        number *= _MOST
    return number if number <= _MOST else None
