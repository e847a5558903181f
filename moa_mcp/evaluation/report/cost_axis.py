"""Where costs are on the horizontal axis of the picture, also those that are zero or unknown, and its ticks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import floor, log10
from typing import NamedTuple

from moa_mcp.evaluation.report.numbers import dollars

_DECADE = 10.0
"""Costs whose largest is more than this times the smallest have a logarithmic axis."""
_STEPS = (1, 2, 5)
_MOST_TICKS, _MOST_LOG_TICKS = 7, 9
_MARGIN = 0.12
_APART = 0.016
"""Between points of the same cost."""


class CostAxis(NamedTuple):
    """A horizontal axis from 0 to 1. Unknown costs are at its right, zero is at its left."""

    is_log: bool
    low: float
    """The cost at the left end of the part with known costs; the logarithm of it if `is_log`."""
    high: float
    start: float
    """Where the part with known costs begins, from 0 to 1: zero has a place before it on a logarithmic axis."""
    end: float
    """Where it ends: unknown costs have a place after it."""

    @classmethod
    def of(cls, costs: Iterable[float | None]) -> CostAxis:
        """Return the axis for these costs in US dollars; None is unknown."""
        given = [*costs]
        known = [each for each in given if each is not None]
        above = [each for each in known if each > 0]
        is_log = bool(above) and max(above) > _DECADE * min(above)
        has_zero, has_unknown = is_log and len(above) < len(known), len(known) < len(given)
        low, high = _ends([log10(each) for each in above] if is_log else known)
        return cls(is_log, low, high, 0.16 if has_zero else 0.0, 0.84 if has_unknown else 1.0)

    def at(self, cost: float | None) -> float:
        """Return the place of a cost, from 0 to 1."""
        if cost is None:
            return (self.end + 1) / 2
        if self.is_log and cost <= 0:
            return self.start / 2
        value = log10(cost) if self.is_log else cost
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def places(self, costs: Iterable[float | None]) -> list[float]:
        """Return the places of costs. Those that have the same place are moved apart a little."""
        exact = [self.at(each) for each in costs]
        same = {place: [number for number, each in enumerate(exact) if each == place] for place in exact}
        return [
            place + _APART * (same[place].index(number) - (len(same[place]) - 1) / 2)
            for number, place in enumerate(exact)
        ]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The places of ticks with their labels."""
        costs = [*(self._log_ticks() if self.is_log else self._linear_ticks())]
        special = [(self.at(0.0), dollars(0.0))] if self.start else []
        unknown = [(self.at(None), "cost unknown")] if self.end < 1 else []
        return [*special, *((self.at(each), dollars(each)) for each in costs), *unknown]

    def _log_ticks(self) -> Iterator[float]:
        steps = [
            step * 10.0**power
            for power in range(floor(self.low), floor(self.high) + 1)
            for step in _STEPS
            if self.low <= log10(step * 10.0**power) <= self.high
        ]
        decades = [each for each in steps if round(log10(each), 6).is_integer()]
        ticks = steps if len(steps) <= _MOST_LOG_TICKS else decades
        yield from ticks[:: -(-len(ticks) // _MOST_LOG_TICKS) or 1]

    def _linear_ticks(self) -> Iterator[float]:
        if self.low == -self.high:  # all costs are zero
            yield 0.0
            return
        rough = (self.high - self.low) / (_MOST_TICKS - 1)
        unit = 10.0 ** floor(log10(rough))
        step = next((each * unit for each in _STEPS if each * unit >= rough), 10 * unit)
        first = -(-self.low // step)
        yield from (round(number * step, 12) for number in range(max(0, int(first)), int(self.high // step) + 1))


def _ends(values: list[float]) -> tuple[float, float]:
    """Return the ends of an axis for costs, or for their logarithms, with a margin."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low) or max(abs(high) / 2, 0.5)
    return low - margin, high + margin
