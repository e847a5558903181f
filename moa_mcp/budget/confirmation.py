"""Whether somebody has to agree to a run before it starts, and what they are to agree to.

It asks nobody: the server asks the user of its client, the command line whoever sits at the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from moa_mcp.budget.worst_case import enough_usd, least_usd, rounded
from moa_mcp.config import Pipeline
from moa_mcp.model import Usable
from moa_mcp.planning.estimate import Estimate, estimate, prices
from moa_mcp.planning.plan import blocking
from moa_mcp.text.money import dollars
from moa_mcp.values import Answer, Question


@dataclass(frozen=True, slots=True)
class Agreement:
    """What somebody has to agree to before a run starts."""

    pipeline: str
    calls: int
    expected_usd: Decimal
    """Of the models whose price is known, as is `max_usd`."""
    max_usd: Decimal
    unknown: tuple[str, ...]
    """The models whose price is not known."""
    least_usd: Decimal
    """A `max_cost_usd` that agrees to the expected cost, and with which the run can start."""
    enough_usd: Decimal
    """A `max_cost_usd` that every call fits at its dearest, so that the budget leaves none out."""
    limit_usd: Decimal
    """What a run may be expected to cost without anybody being asked."""

    def given_by(self, max_cost_usd: Decimal | None) -> bool:
        """Whether somebody has agreed who lets the run cost so much."""
        return max_cost_usd is not None and max_cost_usd >= self.expected_usd

    def __str__(self) -> str:
        calls = f"{self.pipeline} will make {self.calls} model call{'' if self.calls == 1 else 's'}"
        cost = f"{dollars(self.expected_usd)}, and at most {dollars(self.max_usd)} if nothing has to be repeated"
        limit = f"confirm_above_usd is {dollars(self.limit_usd)}"
        if not self.unknown:
            return f"{calls}, expected to cost {cost}; {limit}."
        rest = f"; the others are expected to cost {cost}" if self.max_usd else ""
        return f"{calls}. No price is known for {', '.join(self.unknown)}{rest}; {limit}."


async def needed(
    pipeline: Pipeline,
    question: Question,
    usable: Usable,
    max_cost_usd: Decimal | None,
    answers: Sequence[Answer] = (),
) -> Agreement | None:
    """Return what has to be agreed to before a run starts, which may begin with answers; None if nothing has.

    It is the expected cost that `confirm_above_usd` limits: the most that a run can cost is several times that, and who
    is asked about nearly every run soon agrees unread. A run that may not cost more than the limit, by `max_cost_usd`,
    needs no agreement. An unknown price is asked about whatever the limit and the budget, which can't hold it.
    """
    if pipeline.confirm_above_usd is None:
        return None
    priced = await prices(pipeline, usable)
    estimated = estimate(pipeline, question, priced, answers)
    unreachable = {model for model, each in priced.items() if each.route is None}
    if blocking(pipeline, unreachable):
        return None  # it fails before its first call
    least, enough = (each(pipeline, question, priced, answers) for each in (least_usd, enough_usd))
    agreement = _agreement(estimated, unreachable, least, enough, pipeline.confirm_above_usd)
    may_cost = min(agreement.expected_usd, max_cost_usd or agreement.expected_usd)
    return agreement if agreement.unknown or may_cost > agreement.limit_usd else None


def _agreement(
    estimated: Estimate, unreachable: set[str], least: Decimal, enough: Decimal, limit_usd: Decimal
) -> Agreement:
    """Return what a run would cost; a model that can't be reached is not asked, and costs nothing."""
    asked = [each for step in estimated.steps for each in step.models if each.model not in unreachable]
    known = [each.cost_usd for each in asked if each.cost_usd is not None]
    expected = sum((each.expected for each in known), Decimal(0))
    return Agreement(
        estimated.pipeline,
        sum(each.calls for each in asked),
        expected,
        sum((each.max for each in known), Decimal(0)),
        tuple(dict.fromkeys(each.model for each in asked if each.cost_usd is None)),
        rounded(max(expected, least)),
        rounded(enough),
        limit_usd,
    )
