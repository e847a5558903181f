"""Solves small questions without a model: arithmetic, and multiple choice among results."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import NamedTuple

_EXPRESSION = re.compile(r"-?[(\d][\d\s.+\-*/()x\u00d7\u00b7\u00f7^]*[\d)]")
_CHOICE = re.compile(r"(?:^|[\s(])([A-J])[).:]\s*([^\n]*?)(?=\s+\(?[A-J][).:]\s|\s*[\n;,]|\s*$)")
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
}
_LARGEST = 10**12


class Puzzle(NamedTuple):
    """The right answer to a question, with plausible wrong ones."""

    right: str
    wrong: tuple[str, ...]

    def attempt(self, competence: float, rng: Random) -> str:
        """Return the right answer with probability `competence`, otherwise a wrong one."""
        return self.right if rng.random() < competence else rng.choice(self.wrong)


def read(question: str) -> Puzzle | None:
    """Return the puzzle in a question; None if it has none of a known form."""
    first = _CHOICE.search(question)
    choices = _CHOICE.findall(question)
    value = _value(question[: first.start()] if first else question)
    if value is None:
        return None
    if len(choices) < 2:  # noqa: PLR2004  a choice needs two options
        return Puzzle(_shown(value), _near(value))
    right = [letter for letter, text in choices if _value(f" {text} ") == value or text.strip() == _shown(value)]
    wrong = tuple(letter for letter, _ in choices if letter not in right)
    return Puzzle(right[0], wrong) if len(right) == 1 and wrong else None


def _value(text: str) -> Fraction | None:
    """Return the value of the longest arithmetic expression in a text."""
    found = sorted(_EXPRESSION.findall(text) or re.findall(r"-?\d+(?:\.\d+)?", text), key=len, reverse=True)
    for expression in found:
        source = re.sub(r"[x\u00d7\u00b7]", "*", expression).replace("\u00f7", "/").strip()
        try:
            return _evaluated(ast.parse(source, mode="eval").body)
        except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
            continue
    return None


def _evaluated(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number) if abs(number) <= _LARGEST:
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluated(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            value = _OPERATORS[type(op)](_evaluated(left), _evaluated(right))
            if abs(value) <= _LARGEST:
                return value
        case _:
            pass
    raise ValueError("not small arithmetic")


def _near(value: Fraction) -> tuple[str, ...]:
    """Return typical wrong answers: off by one, by ten, by a carry, with the wrong sign."""
    return tuple(_shown(value + slip) for slip in (-10, -2, -1, 1, 2, 10))


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
