"""Exact values of small arithmetic expressions. Everything that could be read in another way has no value here."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction

_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_EXPRESSION = re.compile(rf"(?:\s*(?:{_NUMBER}(?![0-9.])|\*\*|[-+*/^()x\u00d7\u00b7\u00f7\u2212]))+\s*")
_THOUSANDS_OR_HEXADECIMAL = re.compile(r"(?<![0-9.])(?:[1-9][0-9]{0,2}\.[0-9]{3}(?![0-9])|0x)")
_OPERATION = re.compile(r"[0-9)]\s*[-+*/^x\u00d7\u00b7\u00f7\u2212]")
_DECIMAL = re.compile(r"([0-9]+)\.([0-9]+)")
_SPELLED = str.maketrans({"x": "*", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-"})
_OPERATORS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
}
_LARGEST = 10**12
_LARGEST_EXPONENT = 40
_LONGEST = 200
_SHOWN = Context(prec=12)


def value(text: str) -> Fraction | None:
    """Return the value of a text that is a number or an expression; None for anything else.

    It knows + - * / ^ ** and brackets. None, too, for division by zero, 0 ^ 0, roots, and values above 10^12.
    """
    if len(text) > _LONGEST or not _EXPRESSION.fullmatch(text) or _THOUSANDS_OR_HEXADECIMAL.search(text):
        return None
    source = _DECIMAL.sub(_as_division, text.translate(_SPELLED).replace("^", "**").strip())
    try:
        return _evaluated(ast.parse(source, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def has_operation(text: str) -> bool:
    """Return whether there is something to calculate, rather than a number with or without a sign."""
    return _OPERATION.search(text) is not None


def shown(number: Fraction) -> str:
    """Return a number in decimal notation: all its digits, or `about` and the first twelve."""
    places = _SHOWN.divide(Decimal(number.numerator), Decimal(number.denominator))
    return f"{'' if Fraction(places) == number else 'about '}{places:f}"


def _as_division(decimal: re.Match[str]) -> str:
    """Return a decimal as a division of whole numbers, which has its exact value."""
    whole, places = decimal.groups()
    return f"({int(whole + places)}/{10 ** len(places)})"


def _evaluated(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() as number):
            found = Fraction(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluated(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            found = _power(_evaluated(left), _evaluated(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            found = _OPERATORS[type(op)](_evaluated(left), _evaluated(right))
        case _:
            raise ValueError("not small arithmetic")
    if abs(found) > _LARGEST:
        raise ValueError("too large")
    return found


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > _LARGEST_EXPONENT or base == exponent == 0:
        raise ValueError("not a small power")
    return base**exponent.numerator
