"""The confidence that an answer states in a line of its own at its end: ``Confidence: 85``."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_LABEL = (
    r"[\W_]*(?:(?:my|final|overall) )?confidence(?: (?:level|score|rating))?"
    r"(?:\s*[(\[](?:0\s*(?:[-\N{EN DASH}]|to)\s*100|out of 100)\s*%?[)\]])?"
)
_LINE = re.compile(
    rf"{_LABEL}(?P<mark>[\W_]*?)(?P<number>\d{{1,3}}(?:\.\d{{1,4}})?)\s*"
    r"(?:%|percent|/\s*100|(?:out )?of 100|(?P<tenths>/\s*10|(?:out )?of 10))?[\W_]*",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"[:=].*[-\N{MINUS SIGN}]", re.DOTALL)
_UNREADABLE = re.compile(
    rf"{_LABEL}[*_\s]*[:=](?:[\W\d_]|e(?=[-+\d])|nan|inf(?:inity)?|n/a|none|unknown|percent|very|high|medium|moderate|low)*",
    re.IGNORECASE,
)
"""A line that states a confidence in no way that can be read, such as ``Confidence: 80-90`` or ``Confidence: high``."""
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

    ``0.85`` is 85, since no one states less than one percent with a decimal point. A line with a confidence that can't
    be read is removed, too: its number is not the answer. A text that is nothing but this line stays as it is, and so
    does one in which the line is a field of an object.
    """
    lines = text.rstrip().split("\n")
    filled = [at for at, line in enumerate(lines) if line.strip()][-_LAST_LINES:]
    folded = {at: unicodedata.normalize("NFKC", lines[at]).strip() for at in filled if len(lines[at]) <= _LONGEST}
    read = [(at, _read(line)) for at, line in reversed(folded.items())]
    read = [each for each in read if each[1] is not None] or [
        (at, None) for at, line in reversed(folded.items()) if _UNREADABLE.fullmatch(line)
    ]
    if not read:
        return Stated(text, None)
    at, confidence = read[0]
    if _FIELD.match(lines[at]):
        return Stated(text, confidence)
    rest = "\n".join([*lines[:at], *lines[at + 1 :]]).rstrip()
    return Stated(rest, confidence) if rest.strip() else Stated(text, None)


def _read(line: str) -> float | None:
    found = _LINE.fullmatch(line)
    if found is None or _NEGATIVE.search(found["mark"]):
        return None
    number = float(found["number"])
    if found["tenths"]:
        number *= _MOST / 10
    elif "." in found["number"] and number <= 1:
        number *= _MOST
    return number if number <= _MOST else None
