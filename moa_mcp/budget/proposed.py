"""Proposes a budget from the estimate of a usual question, for a first configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from moa_mcp.values import Dollars

_USUAL = Decimal("0.50")
"""The proposed cap of a run if no price is known."""
_TIMES = 4
"""The least factor between the expected cost of a usual question and the cap: other questions are longer."""
_LEAST = Decimal("0.05")
"""The lowest proposed cap: a file as context multiplies the cost with cheap models."""
_DAY = 10


class ProposedBudget(NamedTuple):
    """Limits in US dollars."""

    max_cost_usd: Decimal
    confirm_above_usd: Decimal | None
    """None if every run would need a confirmation: a price is unknown, or the cap is near the expected cost."""

    @property
    def max_cost_usd_per_day(self) -> Decimal:
        """The cap of ten runs."""
        return _DAY * self.max_cost_usd


def proposed(cost: Dollars | None, max_cost_usd: Decimal | None = None) -> ProposedBudget:
    """Return a budget for runs of this estimated cost, None if it is unknown; `max_cost_usd` replaces its cap."""
    if cost is None:
        return ProposedBudget(max_cost_usd or _USUAL, None)
    cap = max_cost_usd or _at_least(max(_TIMES * cost.expected, cost.max, _LEAST))
    confirmed = _below(cap)
    return ProposedBudget(cap, confirmed if confirmed > cost.expected else None)


def _at_least(amount: Decimal) -> Decimal:
    """Return the smallest of 1, 2, 5, 10, 20 and so on, also below 1, that is not less than a positive amount."""
    unit = Decimal(1).scaleb(amount.adjusted())
    return next(unit * each for each in (1, 2, 5, 10) if unit * each >= amount)


def _below(amount: Decimal) -> Decimal:
    """Return the largest of the same numbers that is less than a positive amount."""
    unit = Decimal(1).scaleb(amount.adjusted())
    return next(unit * each for each in (5, 2, 1, Decimal("0.5")) if unit * each < amount)
