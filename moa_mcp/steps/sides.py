"""What the answers say, by the values that were counted: who says it, how surely, and a line of why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from moa_mcp.steps.forecast import Bound, ExpectedAnswers
from moa_mcp.values import Answer, Tally, Votes

Outcome: TypeAlias = Literal["unanimous", "majority", "no majority", "tie"]

_LEAST_WORDS = 4
_LONGEST = 160
_ROUNDING = 1e-9
_LINE_TOKENS, _FRAME_TOKENS = 40, 180
"""Of a line of a report beside what an answer says, and of its head. A token has at least one byte."""
_LABEL = re.compile(r"(?:reason|because)[\s*_]*:[\s*_]*", re.IGNORECASE)


class Side(Struct, frozen=True):
    """What some of the answers say."""

    value: str
    count: int
    members: tuple[str, ...]
    """The models that gave these answers; twice if a model gave two."""
    says: str
    """A line of the first of these answers."""
    confidence: float | None
    """The mean of the confidences that they state, from 0 to 100; None if they state none. It is not calibrated."""


def sides(tally: Tally, answers: Sequence[Answer]) -> tuple[Side, ...]:
    """Return what the counted answers say, in the order of the count."""
    return tuple(_side(each, answers) for each in tally.values)


def _side(votes: Votes, answers: Sequence[Answer]) -> Side:
    own = [answers[number - 1] for number in votes.answers if number <= len(answers)]
    stated = [answer.confidence for answer in own if answer.confidence is not None]
    confidence = round(sum(stated) / len(stated), 1) if stated else None
    members = tuple(answer.agent for answer in own)
    return Side(votes.value, votes.votes, members, reason(own[0].text) if own else "", confidence)


def outcome(tally: Tally) -> Outcome:
    """Return how a count ended. A majority is more than half of all answers, or of their weight."""
    first, *others = tally.values
    if first.votes == tally.of:
        return "unanimous"
    if others and first.tied(others[0]):
        return "tie"
    readable = sum(each.votes for each in tally.values)
    share = first.votes / readable if first.weight is None else first.weight
    return "majority" if share * readable / tally.of > 1 / 2 + _ROUNDING else "no majority"


def reason(text: str) -> str:
    """Return the line of an answer that states its reason, or else its first sentence, shortened."""
    lines = [" ".join(line.split()).strip("#*_>-• ") for line in text.splitlines()]
    stated = (line[found.end() :] for line in lines if (found := _LABEL.match(line)))
    sentences = (line for line in lines if len(line.split()) >= _LEAST_WORDS)
    return _short(next(filter(None, [*stated, *sentences, *lines]), ""))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def report(tally: Tally, answers: Sequence[Answer], undecided: str | None) -> str:
    """Return the outcome of a count in words: the value, the votes, and a line of each side.

    Without a majority, the value is `undecided`, or else the outcome.
    """
    found, how = sides(tally, answers), outcome(tally)
    decided = how in {"unanimous", "majority"}
    counts = ", ".join(f"{_short(side.value)} {side.count}" for side in found)
    silent = f", {tally.abstained} without a value" if tally.abstained else ""
    head = found[0].value if decided else undecided or how
    why = "" if decided else f"{how}, "
    by_weight = _by_weight(tally) if decided else ""
    votes = f"{head}: {why}{counts} of {tally.of} votes{silent}{by_weight}{_sure(found, decided=decided)}"
    return "\n\n".join([votes, *map(_line, found)])


def report_tokens(answers: ExpectedAnswers, undecided: str | None, bound: Bound) -> int:
    """Return the tokens of a report on answers: at most a line for each, which repeats its value and its reason."""
    match bound:
        case "min":
            return 1
        case "expected":
            return _LINE_TOKENS * (2 + len(answers))
        case "max":  # exhaustive
            names = sum(len((answer.agent or "").encode()) for answer in answers)
            answer_tokens = sum(3 * answer.tokens + _LINE_TOKENS for answer in answers)
            leading = max((answer.tokens for answer in answers), default=0)  # named again with its weight
            return _FRAME_TOKENS + len((undecided or "").encode()) + names + answer_tokens + leading


def _by_weight(tally: Tally) -> str:
    """Return the weight of the leading value if others have as many votes."""
    first, *others = tally.values
    if first.weight is None or all(each.votes < first.votes for each in others):
        return ""
    return f"; {_short(first.value)} has {100 * first.weight:.0f} % of the weight by confidence"


def _sure(found: Sequence[Side], *, decided: bool) -> str:
    confidence = found[0].confidence
    if not decided or confidence is None:
        return ""
    return f"; stated confidence {confidence:g} of 100, not calibrated"


def _line(side: Side) -> str:
    return f"{_short(side.value)} ({', '.join(side.members)}): {side.says}"
