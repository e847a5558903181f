"""Numbers of an evaluation as texts: scores and gains in points (hundredths), money, and counts."""

from __future__ import annotations

from decimal import Decimal
from math import ceil

from moa_mcp.evaluation.result import Interval
from moa_mcp.text import money

_SHOWN = 0.05
"""Points below which one decimal would show zero."""
_TOTAL = 1.0


def points(share: float, *, signed: bool = False) -> str:
    """Return a score or gain in points with one decimal; with more where that would show a difference as zero."""
    value = 100 * share
    written = f"{value:.1g}" if 0 < abs(value) < _SHOWN else f"{value:.1f}"
    written = "0.0" if float(written) == 0 else written
    return f"+{written}" if signed and value > 0 else written


def spread(interval: Interval) -> str:
    """Return an interval in points."""
    return f"{points(interval.low)} to {points(interval.high)}"


def points_up(share: float) -> str:
    """Return a number of whole points that is not less, with its noun."""
    whole = ceil(100 * share - 1e-9)
    return f"{whole} point" if whole == 1 else f"{whole} points"


def whole(count: int) -> str:
    """Return a number of questions, rounded up to two digits where it is large, since it is an estimate."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // unit) * unit:,}"


def dollars(amount: float | None) -> str:
    """Return an amount of US dollars: in cents, or with three digits below one dollar; "unknown" for None."""
    if amount is None:
        return money.dollars(None)
    size = abs(amount)
    rounded = Decimal(f"{size:.2f}") if size >= _TOTAL else Decimal(f"{size:.3g}")
    return f"{'-' if amount < 0 and rounded else ''}{money.dollars(rounded)}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 question``, ``1,200 questions``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def calls(number: float) -> str:
    """Return calls per question, with a decimal if it needs one."""
    return f"{number:.0f}" if abs(number - round(number)) < _SHOWN else f"{number:.1f}"


def seconds(took: float | None) -> str:
    """Return seconds; a dash for None."""
    return "-" if took is None else f"{took:.1f}"


def p_value(p: float | None) -> str:
    """Return a p value."""
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"  # noqa: PLR2004
