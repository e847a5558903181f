"""Compares the number that an answer states with the right one, as exact decimals or within a tolerance.

Numbers are read as the vote step reads them with ``last_number``: ``1,234.50``, ``1/2`` and ``1e3`` by value, without
units and percent signs, so that 50 % is 50. By default, only the same number is right: 0.33 is not 1/3.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from msgspec import Struct

from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.comparing import compared, digest_of, shown
from moa_mcp.evaluation.scoring.score import AnswerScore
from moa_mcp.evaluation.scoring.values import Extraction
from moa_mcp.extraction import words
from moa_mcp.extraction.folding import folded
from moa_mcp.extraction.numbers import last_number
from moa_mcp.extraction.numerals import DecimalMark, calculable, written
from moa_mcp.steps.extracting import values_of

_LARGEST = Decimal("1e30")
_LONGEST = 60
_DIGITS = r"[\d\s.,'\u2019_/+*^()\u00d7\u2212-]|[eE](?=[-+\d])"
_MONEY = r"[$\u00a2-\u00a5\u20a0-\u20c0]"
_NUMERIC = re.compile(
    rf"(?=\D*\d)(?:{_MONEY})?(?:{_DIGITS})+(?:%|{_MONEY}|\u00b0[CF]?"
    rf"|(?:{words.UNITS}|{words.MAJOR_UNITS}|{words.SCALES})(?:\^?\d|\u00b2|\u00b3)?)?\.?"
)


class InvalidTolerance(ValueError):
    """A tolerance can't be read. The message has the value and a valid one."""


class Tolerance(Struct, frozen=True):
    """How far a number may be from the right one."""

    amount: Fraction = Fraction(0)
    """Absolute, or the share of the right number."""
    relative: bool = False

    def allows(self, found: Fraction, expected: Fraction) -> bool:
        """Return whether a number is near enough; a share of 0 is 0."""
        return abs(found - expected) <= self.amount * (abs(expected) if self.relative else 1)

    def __str__(self) -> str:
        return f"{written(self.amount * 100)}%" if self.relative else written(self.amount)


EXACT = Tolerance()


def tolerance_of(text: str) -> Tolerance:
    """Return a tolerance such as ``0.01`` or ``1%``.

    Raises:
        InvalidTolerance: it is not a number from 0, with or without a percent sign.

    """
    plain = text.strip()
    relative = plain.endswith("%")
    try:
        amount = Decimal(plain.removesuffix("%").strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _LARGEST or amount.adjusted() < -30:  # noqa: PLR2004
        raise InvalidTolerance(f"the tolerance {shown(text)} is not a number from 0; write 0.01, or 1% for a share")
    return Tolerance(Fraction(amount) / (100 if relative else 1), relative)


def is_numeric(text: str) -> bool:
    """Return whether a right answer is a number alone, with or without a unit."""
    return len(text) <= _LONGEST and bool(_NUMERIC.fullmatch(folded(text).strip())) and last_number(text) is not None


class ByNumber(Struct, frozen=True):
    """Scores 1 if the number that an answer states is the right one."""

    tolerance: Tolerance = EXACT
    decimal: DecimalMark | None = None

    @property
    def name(self) -> str:
        return "number"

    @property
    def is_free(self) -> bool:
        return True

    @property
    def digest(self) -> str:
        return digest_of(self.name, str(self.tolerance), self.decimal)

    def problem_of(self, question: EvalQuestion) -> str:
        if question.answer is None:
            return "answer is missing"
        return "" if self._number(question.answer) else f"answer {shown(question.answer)} is not one number"

    async def __call__(self, question: EvalQuestion, answer: str) -> AnswerScore:
        found = (await values_of(Extraction("last_number", self.decimal), [answer])).values[0]
        expected = self._number(question.answer or "") or ""
        equal = found == expected
        score = compared(found, expected, equal=equal or self._near(found, expected), absent="the answer has no number")
        if not self.tolerance.amount or equal or found is None:
            return score
        within = "within" if score.value else "not within"
        return AnswerScore(score.value, found, f"{shown(found)} is {within} {self.tolerance} of {shown(expected)}")

    def _number(self, text: str) -> str | None:
        return last_number(text, self.decimal or "point")

    def _near(self, found: str | None, expected: str) -> bool:
        one, other = _fraction(found), _fraction(expected)
        return one is not None and other is not None and self.tolerance.allows(one, other)


def _fraction(number: str | None) -> Fraction | None:
    """Return the value of a number in canonical form; None for one with too many places to calculate with."""
    if number is None:
        return None
    return Fraction(number) if "/" in number else calculable(Decimal(number))
