"""Opens the budget of an admitted run under the caps of its process, before its first call."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import anyio

from moa_mcp.budget.worst_case import RunTariff
from moa_mcp.config import BudgetSettings
from moa_mcp.engine.execute import Checkpoint
from moa_mcp.middleware import Amount, Budget
from moa_mcp.planning.estimate import Prices
from moa_mcp.planning.forecast import Drafts
from moa_mcp.runs.caps import Caps, Refusal
from moa_mcp.runs.record import StartPoint, StoredRun
from moa_mcp.values import FailureReason, State


class BudgetUnavailable(Exception):
    """A run gets no budget. The message names the cause and the remedy."""

    def __init__(self, message: str, reason: FailureReason) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


async def open_budget(
    stored: StoredRun,
    start: StartPoint,
    prices: Prices,
    drafts: Drafts,
    caps: Caps,
    settings: BudgetSettings,
    waits: Callable[[str], None],
) -> Budget:
    """Return the budget of a run, when it fits the caps.

    While the run waits for others, `waits` is called with the reason, and with an empty text when the wait is over.

    Raises:
        BudgetUnavailable: a cap is too low, or the deadline passed while the run waited.

    """
    spec = stored.spec
    begins = start.checkpoint or Checkpoint(0, State(spec.question))
    finished = begins.steps
    by_alias = {alias: each.price for alias, each in prices.items()}
    tariff = RunTariff(spec.pipeline, spec.question, by_alias, settings.unpriced, drafts)
    budget = caps.budget(stored, start, tariff, prices)
    smallest = tariff.smallest(finished, begins.state.answers, begins.state.analysis)
    if stored.entire and any(cap.shared for cap in budget.caps):
        all_calls = budget.most(tariff.whole(finished)).nanodollars - budget.spent.nanodollars
        smallest = smallest._replace(nanodollars=max(smallest.nanodollars, all_calls))
    refusal: Refusal | None = None
    with anyio.move_on_after(math.inf if spec.deadline_s is None else spec.deadline_s) as time_up:
        refusal = await caps.open(budget, smallest, partial(tariff.whole, finished), waits)
    if time_up.cancelled_caught:
        names = " and ".join(str(cap) for cap in budget.caps if cap.shared)
        raise BudgetUnavailable(
            f"the deadline of {spec.deadline_s:g} s passed while other runs held the rest of {names}; "
            "try again when they have ended, or raise that limit",
            "deadline",
        )
    if refusal is not None:
        raise BudgetUnavailable(_too_small(refusal, smallest, entire=stored.entire), "budget")
    return budget


def _too_small(refusal: Refusal, smallest: Amount, *, entire: bool) -> str:
    """Return why the smallest form of a run that may start does not fit a cap, and the remedy."""
    cap, others = refusal
    parts = cap.describe(others)
    why = f" ({', '.join(parts)})" if parts else ""
    least = "the run" if entire else "the minimum run (the fewest calls that the quorums allow, then the last layer)"
    return (
        f"{least} may cost up to "
        f"{cap.shown(cap.measure(smallest))}, but {cap} is too low{why}; raise it, or choose a cheaper pipeline"
    )
