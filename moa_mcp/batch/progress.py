"""How far a batch is: counts of items by outcome, the cost, and the time that is left. It draws nothing."""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal

from msgspec import Struct, field

from moa_mcp.batch.lines import Outcome


class BatchProgress(Struct):
    """The state of one start of a batch."""

    total: int
    """The number of items."""
    recorded: int = 0
    """The items that had a result before this start."""
    counts: Counter[Outcome] = field(default_factory=Counter["Outcome"])
    """The items with a line, by outcome."""
    cost_usd: Decimal = Decimal(0)
    """Of the items with a line, in US dollars, as far as it is known."""
    unpriced: bool = False
    """Whether the cost of some of them is unknown."""
    fresh: int = 0
    """The items whose runs ended in this start."""
    began: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """The number of items with a line."""
        return self.counts.total()

    @property
    def failures(self) -> int:
        """The number of items whose runs failed or were cancelled."""
        return self.counts["failed"] + self.counts["cancelled"]

    @property
    def per_second(self) -> float:
        """The rate of runs that ended in this start."""
        return self.fresh / max(time.monotonic() - self.began, 1e-9)

    @property
    def left_s(self) -> float | None:
        """The expected seconds until the end, at the rate so far; None before the first end of a run."""
        left = self.total - self.recorded - self.fresh
        return left / self.per_second if self.fresh else None

    def add(self, outcome: Outcome, cost_usd: Decimal | None, *, fresh: bool) -> None:
        """Count an item that has its line now."""
        self.counts[outcome] += 1
        self.cost_usd += cost_usd or 0
        self.unpriced |= cost_usd is None
        self.fresh += fresh
