"""Counting without a model: what an answer comes down to, which one most gave, and how rankings merge.

Majority over extracted answers is self-consistency (Wang et al. 2022, arXiv 2203.11171); merging the rankings of
several orders is permutation self-consistency (Tang et al. 2023, arXiv 2310.07712), here by Borda count.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import NamedTuple

Extract = Callable[[str], str | None]
"""Returns what an answer comes down to, in a form in which equal answers are equal; None if it holds none."""

_NUMBER = re.compile(
    r"(?:(?<![\w)])[-+\u2212])?"  # a sign, but no hyphen, no range and no subtraction
    r"(?:\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?!\d)|\d+|(?<![\d.])(?=\.\d))(?:\.\d+)?(?:[eE][-+]?\d+)?"
)
_LARGEST_EXPONENT = 30
"""Numbers with more places than this keep their exponent."""
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_LETTER = r"\s*[:=]?\s*[*_\"'(\[]*([A-J])\b(?!['\u2019]|(?<=I)\s+[a-z])"
_ANSWER_IS = re.compile(r"(?i:\banswer(?:\s+is)?(?:\s+(?:choice|option))?\b)" + _LETTER)
_NAMED_CHOICE = re.compile(r"(?i:\b(?:choice|option)(?:\s+is)?\b)" + _LETTER)
_BARE_CHOICE = re.compile(r"^\s*[*_(\[]*([A-J])(?:[*_\])]+|[.:)](?=\s|$)|\s*$)", re.MULTILINE)
_MOST_BRACES = 1000
"""So many braces of an answer are looked at, from its end, since each may cost a look at all of it."""


def whole_text(answer: str) -> str | None:
    """Return the text, folded in case, white space and closing punctuation."""
    return " ".join(answer.split()).casefold().strip(" .!\"'`*") or None


def last_number(answer: str) -> str | None:
    """Return the last number in the text, without separators and trailing zeros: ``1,200.50`` gives ``1200.5``."""
    found = _NUMBER.findall(answer)
    if not found:
        return None
    digits = re.sub("[,\u00a0\u202f]", "", found[-1]).replace("\u2212", "-")
    try:
        number = _EXACT.normalize(Decimal(digits))
    except InvalidOperation:  # an exponent beyond what Decimal takes
        return digits
    if number == 0:
        return "0"
    return f"{number:f}" if abs(number.adjusted()) <= _LARGEST_EXPONENT else str(number)


def choice_letter(answer: str) -> str | None:
    """Return the choice from A to J that the text settles on.

    The last one called the answer, else the last one called a choice or option, else one that stands alone.
    """
    named = _ANSWER_IS.findall(answer) or _NAMED_CHOICE.findall(answer)
    if named:
        return str(named[-1])
    bare = set(_BARE_CHOICE.findall(answer))
    return str(bare.pop()) if len(bare) == 1 else None


def json_field(name: str) -> Extract:
    """Return an extractor for the value of a field of the last JSON object in the text."""

    def extract(answer: str) -> str | None:
        decoder = json.JSONDecoder()
        starts = [match.start() for match in re.finditer(r"\{", answer)]
        for start in reversed(starts[-_MOST_BRACES:]):
            try:
                found, _ = decoder.raw_decode(answer, start)
            except (ValueError, RecursionError):
                continue
            if name in found:
                value = found[name]
                return whole_text(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)
        return None

    return extract


def pattern(regex: str) -> Extract:
    """Return an extractor for the last match of a regular expression: its first group, or all of it."""
    compiled = re.compile(regex)

    def extract(answer: str) -> str | None:
        matches = list(compiled.finditer(answer))
        if not matches:
            return None
        return whole_text(matches[-1][1 if compiled.groups else 0] or "")

    return extract


class Lead(NamedTuple):
    """Which value was given most often so far."""

    value: str
    by: int
    """How much more often than the second; 0 where none was given, or two as often."""


def lead(values: Iterable[str | None]) -> Lead:
    """Return which value leads, and by how much; None is no value."""
    first, second = [*Counter(value for value in values if value is not None).most_common(2), ("", 0), ("", 0)][:2]
    return Lead(first[0], first[1] - second[1])


class Majority(NamedTuple):
    """The outcome of a count. Positions count from 0."""

    winner: int
    """Position of the first answer that gave the winning value."""
    votes: int
    value: str
    tied: tuple[str, ...]
    """Other values with as many votes; the winner is then the one given first."""
    abstained: tuple[int, ...]
    """Positions of the answers that hold no value."""


def majority(answers: Sequence[str], extract: Extract) -> Majority | None:
    """Return what most answers come down to; None if none holds a value."""
    values = [extract(answer) for answer in answers]
    ballots: dict[str, list[int]] = {}
    for position, value in enumerate(values):
        if value is not None:
            ballots.setdefault(value, []).append(position)
    if not ballots:
        return None
    votes = max(len(positions) for positions in ballots.values())
    first, *tied = [value for value, positions in ballots.items() if len(positions) == votes]
    abstained = tuple(position for position, value in enumerate(values) if value is None)
    return Majority(ballots[first][0], votes, first, tuple(tied), abstained)


def borda(rankings: Sequence[Sequence[int]], count: int) -> tuple[int, ...]:
    """Merge rankings of positions 0 to `count` - 1, best first, into one.

    A place p from the top scores `count` - p; positions that a ranking leaves out share its remaining places
    equally. Equal scores keep the order of the positions.
    """
    scores = [0.0] * count
    for ranking in rankings:
        rest = (count - len(ranking) + 1) / 2
        points = {position: float(count - place) for place, position in enumerate(ranking)}
        for position in range(count):
            scores[position] += points.get(position, rest)
    return tuple(sorted(range(count), key=lambda position: (-scores[position], position)))
