"""Reads which of two answers a judge prefers: the first, the second, or neither."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal, TypeAlias

from moa_mcp.verdicts.objects import Object, Value
from moa_mcp.verdicts.prose import Prose
from moa_mcp.verdicts.reading import Asked, VerdictField, read_verdict
from moa_mcp.verdicts.sides import STATEMENTS, VALUES, VOID

Preference: TypeAlias = Literal[1, 2, 0]
"""The number of the better answer; 0 for a tie."""

_OTHERS = {
    "answer", "winner", "verdict", "preferred", "preference", "preferredanswer", "betteranswer", "best", "bestanswer",
    "choice", "chosen", "choose", "vote", "result", "decision", "judgment", "judgement", "selected", "pick", "response",
    "finalverdict", "finalanswer", "number", "betterresponse", "preferredresponse", "rating",
}  # fmt: skip
_LONGEST = 400
_TIE_LETTER = "C"
"""In double brackets, as the prompts of many benchmarks have it."""
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")


def read_preference(reply: str, asked: Asked) -> Preference | None:
    """Return which answer a judge prefers; None if the reply is ambiguous or does not say it."""
    return read_verdict(reply, asked, VerdictField("better", _OTHERS, preference, _in_prose))


def preference(value: Value) -> Preference | None:
    """Return the preference that a value states: ``1``, ``"Answer 2"``, ``"A"``, ``"tie"``, ``"A>B"``."""
    if isinstance(value, list) and len(value) == 1:
        return None if isinstance(value[0], list | Object) else preference(value[0])
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = re.sub(r"\s?\([^()]*\)$", "", _folded(value).strip(" .!,:")).strip(" ()[]")
    text = re.sub(r"^([0-2])\.0+$", r"\1", text)
    found: list[Preference | None] = [number for number, pattern in VALUES if pattern.fullmatch(text)]
    return _agreed(found or (_stated(value) if _SENTENCE.fullmatch(value) else ()))


def _in_prose(text: str, shown: str) -> Preference | None:
    """Return the verdict of a reply in words: a marked one, else that of the conclusion, else of all sentences."""
    prose = Prose(text, shown)
    if held := prose.marked():
        return _agreed(0 if each == _TIE_LETTER else preference(each) for each in held)
    concluded: list[Preference | None] = []
    others: list[Preference | None] = []
    for sentence in prose.sentences():
        stated = _stated(sentence.text)
        if stated and prose.is_own(sentence.text):
            (concluded if sentence.concludes else others).extend(stated)
    return _agreed(concluded or others)


def _stated(sentence: str) -> list[Preference | None]:
    """Return the preference that a sentence states; None for one that it denies, or sets under a condition."""
    folded = _folded(sentence)
    found: list[tuple[Preference, int]] = [
        (number, match.start()) for number, pattern in STATEMENTS for match in pattern.finditer(folded)
    ]
    if not found:
        return []
    before = folded[: min(start for _, start in found)]
    if VOID.search(before) or folded.endswith("?"):
        return [None]
    numbers: list[Preference | None] = [number for number, _ in found]
    return [_agreed(numbers)]


def _agreed(found: Iterable[Preference | None]) -> Preference | None:
    different = set(found)
    return different.pop() if len(different) == 1 else None


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return " ".join(re.sub(r"[*_`\"\u201c\u201d#]", "", plain).split())
