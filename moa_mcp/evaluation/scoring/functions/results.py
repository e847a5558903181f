"""Reads what a scoring function returned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple, cast

from moa_mcp.text.visible import quoted

_VALUE = ("score", "value")
_WHY = ("explanation", "why", "reason")
_VALID = "return a number from 0 to 1, or True or False"
_LONGEST = 60
_PAIR = 2


class InvalidResult(ValueError):
    """A function returned something that is not a score. The message names it."""


class Returned(NamedTuple):
    """A score as a function returned it."""

    value: float
    """From 0 to 1."""
    why: str


def returned(result: object) -> Returned:
    """Return the score of a result: a number, a boolean, a pair of it and an explanation, or a mapping of both.

    Raises:
        InvalidResult: it is none of these, or the number is not from 0 to 1.

    """
    if isinstance(result, Mapping):
        return _of_mapping(cast("Mapping[object, object]", result))
    if isinstance(result, tuple):
        pair = cast("tuple[object, ...]", result)
        if len(pair) != _PAIR:
            raise InvalidResult(f"returned a tuple of {len(pair)}; return (score, explanation)")
        return Returned(_value(pair[0]), _why(pair[1]))
    return Returned(_value(result), "")


def _of_mapping(held: Mapping[object, object]) -> Returned:
    name = next((name for name in _VALUE if name in held), None)
    if name is None:
        names = ", ".join(quoted(str(name)) for name in list(held)[:5]) or "none"
        raise InvalidResult(f'returned a mapping without "score"; its names: {names}')
    return Returned(_value(held[name]), _why(next((held[why] for why in _WHY if why in held), None)))


def _why(value: object) -> str:
    return "" if value is None else str(value)


def _value(value: object) -> float:
    number = _number(value)
    if number is None:
        raise InvalidResult(f"returned {_said(value)}; {_VALID}")
    if math.isnan(number) or not 0 <= number <= 1:
        raise InvalidResult(f"returned {number:g}, which is not from 0 to 1; {_VALID}")
    return number


def _number(value: object) -> float | None:
    """Return a number, such as one of NumPy; None for anything else, texts among them."""
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, str | bytes) or value is None or not hasattr(value, "__float__"):
        return None
    try:
        return float(cast("float", value))
    except (TypeError, ValueError):  # an array of several
        return None


def _said(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"the text {quoted(value if len(value) <= _LONGEST else value[:_LONGEST] + '…')}"
    return f"a value of type {type(value).__name__}"
