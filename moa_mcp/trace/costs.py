"""What calls cost as far as it is known, and how many of their requests have an unknown cost."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from moa_mcp.trace.trace import CallTrace, Trace


class KnownCost(NamedTuple):
    """A cost that may be known in part."""

    usd: Decimal
    """US dollars, of the requests whose cost is known."""
    unknown: int
    """The number of requests that may have been paid for, and whose cost is unknown."""


def known_cost(calls: Iterable[CallTrace]) -> KnownCost:
    """Return the cost of calls with all their attempts."""
    costs = [end.cost_usd for call in calls for end in call.paid()]
    known = [cost for cost in costs if cost is not None]
    return KnownCost(sum(known, Decimal(0)), len(costs) - len(known))


def calls_of(trace: Trace) -> tuple[CallTrace, ...]:
    """Return the calls of a run, without those of the run that it was forked from."""
    return tuple(call for step in trace.steps[trace.inherited :] for call in step.calls)
