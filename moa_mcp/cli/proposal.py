"""What a first configuration would have: its pipelines, the models that answer, and a budget. It asks no one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.budget.proposed import ProposedBudget, proposed
from moa_mcp.cli import draw
from moa_mcp.cli.available import Available
from moa_mcp.cli.starter import PANEL, Choices, document
from moa_mcp.config import Config, Pipeline, parse
from moa_mcp.planning.estimate import Estimate, estimate, prices
from moa_mcp.planning.forecast import assumed
from moa_mcp.text.money import dollars
from moa_mcp.values import Dollars


class Proposal(Struct, frozen=True):
    """Pipelines and their models, to be confirmed by the user."""

    choices: Choices
    resolved: dict[str, Pipeline]
    cost: Dollars | None
    """The estimated cost of a usual question with the first pipeline; None if a price is unknown."""

    def budget(self, max_cost_usd: Decimal | None) -> ProposedBudget | None:
        """Return the budget; None for programs, unless the user sets a cap."""
        if self.choices.programs and max_cost_usd is None:
            return None
        return proposed(self.cost, max_cost_usd)

    def described(self, budget: ProposedBudget | None) -> Iterator[tuple[str, str]]:
        """Yield the pipelines with their models, and the budget."""
        for name, pipeline in self.resolved.items():
            if name == PANEL or self.choices.quick:
                first, last = pipeline.steps[0], pipeline.steps[-1]
                verb = "merges the answers" if name == PANEL else "chooses one"
                yield name, f"{draw.names(first.models)} answer; {draw.names(last.models)} {verb}"
        if budget is None:
            yield "Budget", "none: a subscription has no price for each run"
        else:
            caps = f"{dollars(budget.max_cost_usd)} for a run, {dollars(budget.max_cost_usd_per_day)} a day"
            usual = f"about {dollars(self.cost.expected)} for a usual question" if self.cost else "a price is unknown"
            yield "Budget", f"{caps}; {usual}"


async def proposal(found: Available, choices: Choices) -> Proposal:
    """Return the pipelines with the models that answer; without the cheaper one if it is not cheaper."""
    config = parse(document(choices))
    resolved, costs = await _resolved(found, config)
    expected = {name: each.cost_usd.expected for name, each in costs.items() if each.cost_usd}
    if any(cost >= expected.get(PANEL, cost) for name, cost in expected.items() if name != PANEL):
        choices = replace(choices, quick=False)
    return Proposal(choices, resolved, costs[PANEL].cost_usd)


async def _resolved(found: Available, config: Config) -> tuple[dict[str, Pipeline], dict[str, Estimate]]:
    resolver = found.backend.resolver(config)
    resolved = {name: await resolver.resolve(each) for name, each in config.pipelines.items()}
    costs = {
        name: estimate(each.pipeline, assumed(), await prices(each.pipeline, found.backend.usable(each.routes)))
        for name, each in resolved.items()
    }
    return {name: each.pipeline for name, each in resolved.items()}, costs
