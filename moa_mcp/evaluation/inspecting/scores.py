"""The scores of Inspect as ours: a number from 0 to 1, the value that was scored, and why."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, PARTIAL, value_to_float
from inspect_ai.scorer import Score as InspectScore

from moa_mcp.evaluation.scoring.score import AnswerScore
from moa_mcp.text.redact import redact
from moa_mcp.text.surrogates import mended
from moa_mcp.text.visible import quoted

_LONGEST = 2000
"""Characters of an explanation."""
_LETTERS = (CORRECT, INCORRECT, PARTIAL, NOANSWER)
_WORDS = ("yes", "no", "true", "false")
_number = value_to_float()


def score_of(scores: Mapping[str, InspectScore] | None) -> AnswerScore:
    """Return the score of a sample: that of the first scorer, as Inspect shows it first.

    Letters, words and numbers are what Inspect takes them for (`value_to_float`). It is None for several values at
    once, for one outside of 0 to 1, and for a sample that the scorer left unscored.
    """
    if not scores:
        return AnswerScore(None, problem="the task has no scorer, or it returned no score")
    name, given = next(iter(scores.items()))
    answer = None if given.answer is None else mended(given.answer)
    why = mended((given.explanation or "")[:_LONGEST])
    if isinstance(given.value, str | int | float) and _is_readable(given.value):
        value = _number(given.value)
        if 0 <= value <= 1:
            return AnswerScore(value, answer, why or f"{name}: {given.value}")
        return AnswerScore(
            None, answer, why, f"the scorer {name} gave {value:g}; only scores from 0 to 1 can be compared"
        )
    if isinstance(given.value, float):
        reason = f": {redact(str(given.reason))}" if given.reason else ""
        return AnswerScore(None, answer, why, f"the scorer {name} left it unscored{reason}")
    shown = quoted(redact(str(given.value)[:80]))
    return AnswerScore(None, answer, why, f"the scorer {name} gave {shown}, which is not one number from 0 to 1")


def _is_readable(value: str | float) -> bool:
    """Whether Inspect reads a value as a number, and does not take it for 0."""
    if not isinstance(value, str):
        return isfinite(value)
    if value in _LETTERS or value.lower() in _WORDS:
        return True
    try:
        return isfinite(float(value))
    except ValueError:
        return False
