"""What the ways of scoring without a model share: each compares with the right answer, and checks it before a run."""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.score import AnswerScore, Scorer

_LONGEST = 80


class CheckedScorer(Scorer, Protocol):
    """A scorer that knows which questions it can score."""

    def problem_of(self, question: EvalQuestion) -> str:
        """Return why the answers to a question can't be scored, after "its"; empty if they can."""
        ...


def compared(found: str | None, expected: str, *, equal: bool, absent: str) -> AnswerScore:
    """Return the score of a value. `absent` says what an answer without a value lacks."""
    if found is None:
        return AnswerScore(0.0, None, f"{absent}; {shown(expected)} is right")
    why = "is right" if equal else f"is not {shown(expected)}"
    return AnswerScore(float(equal), found, f"{shown(found)} {why}")


def shown(value: str) -> str:
    """Return a value in quotes for a sentence, shortened."""
    line = " ".join(value.split())
    return f'"{line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"}"'


def digest_of(*parts: object) -> str:
    """Return a hash of settings."""
    return sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()
