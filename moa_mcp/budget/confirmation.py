"""Whether a user has to confirm the cost of a run before it starts, and what they confirm.

It asks no one: the server asks the user of its client, the command line the user at the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from moa_mcp.budget.worst_case import enough_usd, least_usd, rounded
from moa_mcp.config import Pipeline
from moa_mcp.planning.estimate import Estimate, Prices
from moa_mcp.text.money import dollars
from moa_mcp.values import Analysis, Answer, Question


class CostLimits(NamedTuple):
    """The limits of a run, in US dollars."""

    confirm_above_usd: Decimal
    max_cost_usd: Decimal | None
    """Its budget; None if it has none."""
    spent_usd: Decimal
    """What it spent of that budget before, if it is resumed."""


class Confirmation(Struct, frozen=True):
    """What a user has to confirm before a run starts."""

    pipeline: str
    calls: int
    expected_usd: Decimal
    """Of the models whose price is known, as is `max_usd`."""
    max_usd: Decimal
    unknown: tuple[str, ...]
    """The models whose price is not known."""
    limits: CostLimits
    least_usd: Decimal
    """The lowest `max_cost_usd` that confirms the expected cost, and with which the run can start."""
    enough_usd: Decimal
    """A `max_cost_usd` that covers the worst-case cost of every call, so that the budget skips none."""

    def covered_by(self, max_cost_usd: Decimal | None) -> bool:
        """Whether a budget is at least the expected cost."""
        return max_cost_usd is not None and max_cost_usd >= self.expected_usd + self.limits.spent_usd

    def __str__(self) -> str:
        calls = f"{self.pipeline} will make {self.calls} model call{'' if self.calls == 1 else 's'}"
        cost = f"{dollars(self.expected_usd)}, and at most {dollars(self.max_usd)} if nothing has to be repeated"
        limit = f"confirm_above_usd is {dollars(self.limits.confirm_above_usd)}"
        if not self.unknown:
            return f"{calls}, expected to cost {cost}; {limit}."
        rest = f"; the others are expected to cost {cost}" if self.max_usd else ""
        return f"{calls}. No price is known for {', '.join(self.unknown)}{rest}; {limit}."


def needed(
    estimated: Estimate,
    pipeline: Pipeline,
    question: Question,
    prices: Prices,
    limits: CostLimits,
    answers: Sequence[Answer] = (),
    analysis: Analysis | None = None,
) -> Confirmation | None:
    """Return what has to be confirmed before a run of a pipeline starts from some answers; None if nothing has.

    `confirm_above_usd` limits the expected cost: the worst-case cost is several times that, and users who are asked
    about nearly every run soon confirm without reading. A run whose budget is within that limit needs no confirmation.
    A model without a known price needs one at any limit and budget, because a budget can't limit it.
    """
    reachable = [each for step in estimated.steps for each in step.models if each.priced.route is not None]
    known = [each.cost_usd for each in reachable if each.cost_usd is not None]
    expected = sum((each.expected for each in known), Decimal(0))
    unknown = tuple(dict.fromkeys(each.model for each in reachable if each.cost_usd is None))
    left = expected if limits.max_cost_usd is None else limits.max_cost_usd - limits.spent_usd
    if not unknown and min(expected, left) <= limits.confirm_above_usd:
        return None
    least, enough = (each(pipeline, question, prices, answers, analysis) for each in (least_usd, enough_usd))
    return Confirmation(
        estimated.pipeline,
        sum(each.calls for each in reachable),
        expected,
        sum((each.max for each in known), Decimal(0)),
        unknown,
        limits,
        rounded(limits.spent_usd + max(expected, least)),
        rounded(limits.spent_usd + enough),
    )
