"""The format of amounts of money in tables, results, messages and errors."""

from __future__ import annotations

from decimal import Decimal

_SMALLEST = Decimal("0.000001")
_CENT = Decimal("0.01")


def dollars(cost: Decimal | None) -> str:
    """Return an amount of US dollars with as many digits as it needs; "unknown" for None.

    Only zero is "$0". An amount that is too small to be shown is "<$0.000001".
    """
    if cost is None:
        return "unknown"
    if cost == 0:
        return "$0"
    if cost < _SMALLEST:
        return f"<${_SMALLEST}"
    if cost < _CENT:
        return f"${cost:.6f}"
    in_cents = cost >= 1 and round(cost, 4) == round(cost, 2)
    return f"${cost:.2f}" if in_cents else f"${cost:.4f}"
