"""What one call costs without the others that shared its request.

Calls that ask the same may share a request, whose prompt is billed once. A call of its own has the whole prompt, and
its part of the completion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import NamedTuple

from msgspec.structs import replace

from moa_mcp.planning.estimate import Prices
from moa_mcp.routing import catalog
from moa_mcp.trace.costs import known_cost
from moa_mcp.trace.trace import AttemptTrace, CallTrace
from moa_mcp.values import Price, Usage

_DIGITS = Context(prec=12)


class SingleCost(NamedTuple):
    """What a call costs that shares its request with no other, in US dollars."""

    usd: Decimal | None
    """None if it is unknown."""
    is_least: bool = False
    """Whether it may cost more, since the cost of a shared prompt is not known."""


def mean_usd(total: Decimal, count: int) -> Decimal:
    """Return a mean of costs, with at most 12 significant digits."""
    return _DIGITS.divide(total, Decimal(count))


def single_cost(calls: Sequence[CallTrace], prices: Prices) -> SingleCost:
    """Return what one of several equal calls costs on average, if each had a request of its own.

    `prices` are those of the routes that answer now. There is at least one call.
    """
    known = known_cost(calls)
    if known.unknown:
        return SingleCost(None)
    by_route = {each.route: each.price for each in prices.values()}
    more, is_least = Decimal(0), False
    for shared in _shared(calls):
        model = shared[0].model
        prompt = _prompt_usd(shared, by_route.get(model) or catalog.price(model))
        more += Decimal(0) if prompt is None else prompt * (len(shared) - 1)
        is_least = is_least or prompt is None
    return SingleCost(mean_usd(known.usd + more, len(calls)), is_least)


def _shared(calls: Iterable[CallTrace]) -> list[list[AttemptTrace]]:
    """Return the answered attempts of each request that brought several answers."""
    found: defaultdict[tuple[object, float], list[AttemptTrace]] = defaultdict(list)
    for call in calls:
        for attempt in call.attempts:
            if attempt.completion is not None:
                found[attempt.joined or call.place, attempt.started_at].append(attempt)
    return [each for each in found.values() if len(each) > 1]


def _prompt_usd(shared: Iterable[AttemptTrace], price: Price | None) -> Decimal | None:
    """Return what the prompt of a request cost, as its part of the bill by the price; None if that is unknown."""
    ends = [each.completion for each in shared if each.completion is not None]
    cost = sum((each.cost_usd or Decimal(0) for each in ends), Decimal(0))
    if not cost:
        return cost
    usage = sum((each.usage for each in ends if each.usage is not None), Usage())
    whole = Decimal(0) if price is None else price.cost_usd(usage)
    if price is None or not whole or not usage.prompt_tokens:
        return None
    return cost * price.cost_usd(replace(usage, completion_tokens=0, reasoning_tokens=0)) / whole
