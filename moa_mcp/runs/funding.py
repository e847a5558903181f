"""The budget of an admitted run: opened from the caps of its process before its first call."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import anyio

from moa_mcp.budget.worst_case import RunTariff
from moa_mcp.config import BudgetSettings
from moa_mcp.engine.execute import RunSpec
from moa_mcp.middleware import Amount, Budget
from moa_mcp.planning.estimate import Prices
from moa_mcp.runs.money import Purses, Refusal
from moa_mcp.runs.order import Opening
from moa_mcp.values import FailureReason


class Unfunded(Exception):
    """A run can't be paid for; the text names the cause and the remedy."""

    def __init__(self, message: str, reason: FailureReason) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


async def funded(
    spec: RunSpec,
    opening: Opening,
    prices: Prices,
    purses: Purses,
    settings: BudgetSettings,
    waits: Callable[[str], None],
) -> Budget:
    """Return the budget of a run.

    While it waits for amounts that other runs hold, `waits` gets the reason; an empty text when the wait is over.

    Raises:
        Unfunded: a cap has no room for it.

    """
    finished, answers = (opening.reached.steps, opening.reached.state.answers) if opening.reached else (0, ())
    by_alias = {alias: each.price for alias, each in prices.items()}
    tariff = RunTariff(spec.pipeline, spec.question, by_alias, settings.unpriced)
    budget = purses.budget(spec, opening, tariff, prices)
    smallest = tariff.smallest(finished, answers)
    refusal: Refusal | None = None
    with anyio.move_on_after(math.inf if spec.deadline_s is None else spec.deadline_s) as time_up:
        refusal = await purses.open(budget, smallest, partial(tariff.whole, finished), waits)
    if time_up.cancelled_caught:
        caps = " and ".join(str(purse) for purse in budget.purses if purse.shared)
        raise Unfunded(
            f"the deadline of {spec.deadline_s:g} s passed while other runs held what {caps} has left; "
            "try again when they have ended, or raise it",
            "deadline",
        )
    if refusal is not None:
        raise Unfunded(_too_small(refusal, smallest), "budget")
    return budget


def _too_small(refusal: Refusal, smallest: Amount) -> str:
    """Return why not even the smallest form of a run fits a cap, and what can be done."""
    purse, others = refusal
    told = purse.told(others)
    why = f" ({', '.join(told)})" if told else ""
    return (
        f"the smallest form of what is to be done (as few calls as its quorums allow, then the last layer) may take up "
        f"to {purse.shown(purse.measure(smallest))}, and {purse} has no room for it{why}; raise it, or choose a "
        "cheaper pipeline"
    )
