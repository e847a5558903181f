"""How amounts of money are written for people."""

from __future__ import annotations

from decimal import Decimal


def dollars(cost: Decimal | None) -> str:
    """Return an amount with as many digits as it needs; "unknown" where it is."""
    if cost is None:
        return "unknown"
    if cost == 0:
        return "$0"
    if cost < Decimal("0.000001"):
        return "<$0.000001"
    return f"${cost:.2f}" if cost >= 1 else f"${cost:.4f}" if cost >= Decimal("0.01") else f"${cost:.6f}"
