"""Reads the grade that a judge gave an answer: correct, partly or incorrect, or a number on a scale."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from moa_mcp.verdicts.objects import Object, Value
from moa_mcp.verdicts.prose import Prose
from moa_mcp.verdicts.reading import Asked, VerdictField, read_verdict

_OTHERS = {
    "grade", "score", "rating", "verdict", "result", "mark", "points", "judgment", "judgement", "evaluation",
    "assessment", "correctness", "correct", "iscorrect", "label", "answer", "finalscore", "overallscore", "finalgrade",
    "overall", "value", "decision",
}  # fmt: skip
_LONGEST = 60
_WORDS = {
    1.0: "correct|right|true|yes|fully correct|entirely correct|completely correct|pass|c|1|1.0|100%|richtig|korrekt",
    0.5: "partly|partial|partially|partly correct|partially correct|partly right|partially right|half|mixed|p|0.5|50%"
    "|½|1/2|teilweise|teilweise richtig",
    0.0: "incorrect|wrong|false|no|not correct|fully incorrect|completely incorrect|fail|i|0|0.0|0%|falsch",
}
_BY_WORD = {word: value for value, words in _WORDS.items() for word in words.split("|")}
_NUMBER = re.compile(
    r"(?P<value>[+-]?\d{1,4}(?:\.\d{1,6})?)"
    r"(?:\s?(?:/|out of|of|von|sur)\s?(?P<of>\d{1,4}(?:\.0+)?))?(?P<share>\s?%)?(?:\s?(?:points?|pts?))?"
)


class GradeScale(NamedTuple):
    """The lowest and the highest score of a scale; both None for the words correct, partly and incorrect."""

    low: float | None
    high: float | None

    def __str__(self) -> str:
        return "correct, partly or incorrect" if self.low is None else f"{self.low:g} to {self.high:g}"


WORDS = GradeScale(None, None)


def read_grade(reply: str, asked: Asked, scale: GradeScale) -> float | None:
    """Return the grade in a reply, from 0 to 1; None if it is ambiguous, off the scale, or missing."""
    field = "grade" if scale.low is None else "score"

    def read(value: Value) -> float | None:
        return grade(value, scale)

    def read_prose(text: str, shown: str) -> float | None:
        found = {grade(held, scale) for held in Prose(text, shown).marked()}
        return found.pop() if len(found) == 1 else None

    return read_verdict(reply, asked, VerdictField(field, _OTHERS - {field}, read, read_prose))


def grade(value: Value, scale: GradeScale) -> float | None:
    """Return the grade of a value that is nothing else; None if it is not one of the scale."""
    if isinstance(value, bool):
        return float(value) if scale.low is None else None
    if isinstance(value, list) and len(value) == 1:
        return None if isinstance(value[0], list | Object) else grade(value[0], scale)
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = _folded(value)
    return _BY_WORD.get(text) if scale.low is None or scale.high is None else _on(scale.low, scale.high, text)


def _on(low: float, high: float, text: str) -> float | None:
    """Return the share of a scale that a number has: ``4``, ``4/5``, ``4 out of 5``; a percentage of 0 to 100 alone."""
    found = _NUMBER.fullmatch(text)
    if found is None or (found["of"] is not None and float(found["of"]) != high):
        return None
    if found["share"] and (low, high) != (0, 100):
        return None
    number = float(found["value"])
    return (number - low) / (high - low) if low <= number <= high else None


def _folded(text: str) -> str:
    plain = re.sub(r"[*_`\"'\u2018-\u201f]", "", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(plain.replace("\u2044", "/").split()).strip(" .!()[]")
