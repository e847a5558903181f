"""Runs of digits, and the value of two or three of them together: ``3 1/2``, ``1 in 4``, ``5 × 10^3``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from moa_mcp.extraction.latex import BOXED_END
from moa_mcp.extraction.markup import MARKS
from moa_mcp.extraction.numerals import DecimalMark, Exact, calculable, numeral, power, quotient, scaled

M = f"[{MARKS}]"
_SLASH = re.compile(rf"{M}*\s?/\s?{M}*")
_PARTS_OF = re.compile("\u5206[\u306e\u4e4b]")
"""The text between a denominator and the numerator after it."""
_ONE_IN = re.compile(
    rf"{M}*\s(?:chances?\s|times?\s|Chancen?\s)?(?:in(?:\severy|\seach)?|out of every|su|sur|em|zu je)\s{M}*",
    re.IGNORECASE,
)
_MOST_DIGITS = 12
_YEARS = range(1900, 2100)
_TIMES = re.compile(rf"{M}*\s?[\u00d7\u00b7xX]\s?{M}*")
JOINT = re.compile(rf"(?![^{BOXED_END}]{{0,9}}{BOXED_END}){M}* ?{M}+ ?{M}*")
"""What may separate the runs of one number: emphasis, but not the end of a box."""
_MOST_RUNS = 3
"""Maximum runs of a number: a whole number, and the two of a fraction."""


class DigitRun(NamedTuple):
    """A run of digits, with its exponents."""

    start: int
    end: int
    digits: str
    """Empty for a sign that denotes a number, such as a root."""
    tens: str
    """The exponent of the power of ten that multiplies them (``e3``)."""
    exponent: str
    """The exponent that they are raised to (``^3``)."""

    @property
    def is_power_of_ten(self) -> bool:
        return self.digits == "10" and bool(self.exponent)

    def value(self, mark: DecimalMark) -> Exact | None:
        """Return the value; None if it is not one number."""
        value = numeral(self.digits.replace("\u2019", "'"), mark) if self.digits else None
        if value is None or not (self.tens or self.exponent):
            return value
        if self.exponent:
            return power(value, self.exponent.replace("\u2212", "-"))
        return scaled(value, self.tens.replace("\u2212", "-"))


def is_chance(one: DigitRun, gap: str, other: DigitRun) -> bool:
    """Whether two runs form a probability: "1 in 4" is a quarter."""
    if not _ONE_IN.fullmatch(gap) or not (one.digits.isdigit() and len(one.digits) <= _MOST_DIGITS):
        return False
    below = numeral(other.digits) if len(other.digits) <= _MOST_DIGITS else None
    return below is not None and int(one.digits) < below and (one.digits == "1" or below not in _YEARS)


def value_of(text: str, runs: Sequence[DigitRun], mark: DecimalMark) -> Exact | None:
    """Return the value of the runs of one piece; None if they are not one number."""
    if len(runs) > _MOST_RUNS:
        return None
    gaps = [text[one.end : other.start] for one, other in pairwise(runs)]
    match [run.value(mark) for run in runs]:
        case [value]:
            return value
        case [None, Decimal() as below] if _SLASH.fullmatch(gaps[0]) and " " in runs[0].digits:
            whole, _, above = runs[0].digits.rpartition(" ")
            return _mixed(numeral(whole), numeral(above), below)
        case [one, other] if one is not None and other is not None:
            return _of_two(one, other, gaps[0], to_ten=runs[1].is_power_of_ten)
        case [Decimal() as whole, Decimal() as above, Decimal() as below]:
            return _mixed(whole, above, below) if JOINT.fullmatch(gaps[0]) and _SLASH.fullmatch(gaps[1]) else None
        case _:
            return None


def _of_two(one: Exact, other: Exact, gap: str, *, to_ten: bool) -> Exact | None:
    """Return the value of a fraction, or of a number times a power of ten."""
    if _SLASH.fullmatch(gap):
        return quotient(one, other)
    if _ONE_IN.fullmatch(gap):
        return quotient(one, other)
    if _PARTS_OF.fullmatch(gap):
        return quotient(other, one)
    if to_ten and isinstance(one, Decimal) and isinstance(other, Decimal) and _TIMES.fullmatch(gap):
        return scaled(one, str(other.adjusted()))
    return None


def _mixed(whole: Decimal | None, above: Decimal | None, below: Decimal) -> Exact | None:
    """Return the sum of a whole number and a proper fraction."""
    parts = [part and calculable(part) for part in (whole, above, below)]
    match parts:
        case [Fraction() as units, Fraction() as dividend, Fraction() as divisor] if 0 < dividend < divisor:
            return (
                units + dividend / divisor
                if all(part.denominator == 1 for part in (units, dividend, divisor))
                else None
            )
        case _:
            return None
