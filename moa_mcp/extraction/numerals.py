"""Parses a numeral to its exact value, and writes values in canonical form.

A numeral consists of digits with group and decimal separators. One separator before exactly three digits (``1,234``,
``1.234``) is ambiguous: the comma is a group separator and the point a decimal one, as in English, unless the step has
``decimal = "comma"``. All other numerals have one reading: the comma of ``3,5`` is a decimal separator, since no group
has one digit, and the point of ``1.234,5`` a group separator. A numeral without one clear reading has no value.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

DecimalMark: TypeAlias = Literal["point", "comma"]
Exact: TypeAlias = Decimal | Fraction

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_LARGEST_EXPONENT = 30
"""Numbers with more places keep their exponent."""
_MOST_DIGITS = 19
"""Maximum digits of an exponent."""
_MOST_PLACES = 400
"""Maximum places of numbers in calculations; longer ones are only read."""
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:(?P<by>[,.'_ ])\d{3})(?:(?P=by)\d{3})*|[1-9]\d?(?:,\d\d)+,\d{3}")
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}[,.]\d{3}")
_ADDRESS_PARTS, _LARGEST_PART = 4, 255
_DECIMAL_SIGN = "\u066b"


def numeral(text: str, mark: DecimalMark = "point") -> Decimal | None:
    """Return the value of digits with separators; None if they are not one number."""
    if text.isdigit():
        return Decimal(text)
    whole, sign, fraction = _divided(text, mark)
    digits = _ungrouped(whole)
    if digits is None or (sign and not fraction.isdigit()):
        return None
    return Decimal(f"{digits}.{fraction}" if sign else digits)


def scaled(value: Decimal, exponent: str) -> Decimal | None:
    """Return the value times a power of ten; None if the result is out of range."""
    if len(exponent) > _MOST_DIGITS:
        return None
    try:
        result = _EXACT.scaleb(value, int(exponent))
    except ArithmeticError:
        return None
    return result if result or not value else None  # underflow


def negated(value: Exact) -> Exact:
    """Return the negated value; the unary operator would round decimals."""
    return -value if isinstance(value, Fraction) else value.copy_negate()


def power(base: Exact, exponent: str) -> Exact | None:
    """Return a power of a number; None if the result is too large to write out."""
    if base == 10:  # noqa: PLR2004
        return scaled(Decimal(1), exponent)
    fraction, digits = calculable(base), exponent.lstrip("+-")
    if fraction is None or len(digits) > 3:  # noqa: PLR2004
        return None
    size = len(str(max(abs(fraction.numerator), fraction.denominator))) * int(digits)
    return None if size > _MOST_PLACES or (not fraction and exponent[0] == "-") else fraction ** int(exponent)


def quotient(above: Exact, below: Exact) -> Fraction | None:
    """Return one value divided by another."""
    dividend, divisor = calculable(above), calculable(below)
    return dividend / divisor if dividend is not None and divisor else None


def calculable(value: Exact) -> Fraction | None:
    """Return the value as a fraction; None if that has too many places."""
    if isinstance(value, Fraction):
        return value
    _, digits, exponent = value.as_tuple()
    return Fraction(value) if len(digits) + abs(int(exponent)) <= _MOST_PLACES else None


def written(value: Exact) -> str:
    """Return a value in canonical form: a decimal if it is one, otherwise a reduced fraction.

    Decimals have no trailing zeros, and an exponent only beyond 30 places.
    """
    if isinstance(value, Fraction):
        decimal = _as_decimal(value)
        if decimal is None:
            return f"{value.numerator}/{value.denominator}"
        value = decimal
    number = _EXACT.normalize(value)
    if not number:
        return "0"
    return f"{number:f}" if abs(number.adjusted()) <= _LARGEST_EXPONENT else str(number)


def _as_decimal(value: Fraction) -> Decimal | None:
    below, twos, fives = value.denominator, 0, 0
    while below % 2 == 0:
        below, twos = below // 2, twos + 1
    while below % 5 == 0:
        below, fives = below // 5, fives + 1
    if below != 1:
        return None
    places = max(twos, fives)
    return _EXACT.scaleb(Decimal(value.numerator * 10**places // value.denominator), -places)


def _divided(text: str, mark: DecimalMark) -> tuple[str, str, str]:
    """Return the part before the decimal separator, the separator, and the rest; both empty if there is none."""
    if _DECIMAL_SIGN in text:
        return text.partition(_DECIMAL_SIGN)
    points, commas = text.count("."), text.count(",")
    if points + commas == 1 and not _AMBIGUOUS.fullmatch(text):
        return text.partition("." if points else ",")  # not three digits after it, or groups before it
    if points + commas == 1:
        divides = "," if mark == "comma" else "."
        return text.partition(divides) if divides in text else (text, "", "")
    last = max(",.", key=text.rfind)
    if points and commas and text.count(last) == 1:
        return text.rpartition(last)
    return text, "", ""


def _ungrouped(whole: str) -> str | None:
    """Return the digits of a whole number; None if its separators are not group separators."""
    if not whole or whole.isdigit():
        return whole or "0"
    if not _GROUPED.fullmatch(whole):
        return None
    parts = re.split(r"[,.'_ ]", whole)
    if "." in whole and len(parts) == _ADDRESS_PARTS and all(int(part) <= _LARGEST_PART for part in parts):
        return None
    return "".join(parts)


_REPEATING = re.compile(r"(?<![\d.,'])(\d{1,15})[.,](\d{0,15}?)((?:\d[\u0304\u0305\u0307]){1,15})(?!\d)")


def repeating_as_fractions(text: str) -> str:
    """Return a text with repeating decimals, which are overlined, as fractions."""
    return _REPEATING.sub(_as_fraction, text)


def _as_fraction(found: re.Match[str]) -> str:
    places, period = found[2], re.sub(r"\D", "", found[3])
    below = (10 ** len(period) - 1) * 10 ** len(places)
    above = int(found[1] + places + period) - int(found[1] + places)
    return f"{above}/{below}"
