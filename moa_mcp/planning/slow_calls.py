"""What a run needs to judge its slow calls: which models reason, and what one more request would cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from moa_mcp.config import Pipeline, models_of
from moa_mcp.model import Usable, targets_by_alias
from moa_mcp.planning.estimate import Estimate
from moa_mcp.routing import catalog

Shares: TypeAlias = Mapping[tuple[int, str], float]
"""By step and alias: the share of one call in the expected cost of a run."""


async def reasoning(pipeline: Pipeline, usable: Usable) -> tuple[str, ...]:
    """Return the aliases of the models that are known to reason, on the routes that would be used now."""
    found = await targets_by_alias(usable, models_of(pipeline))
    return tuple([alias for alias, targets in found.items() if targets and catalog.reasons(targets[0])])


def shares(estimated: Estimate, finished: int) -> Shares:
    """Return the share of each call in the expected cost of the steps after the `finished` ones.

    Where a price is unknown or all models are free, tokens stand in for US dollars.
    """
    cost = estimated.cost_usd
    priced = cost is not None and cost.expected > 0
    models = [(number, each) for number, step in enumerate(estimated.steps, finished + 1) for each in step.models]
    amounts = [
        float(each.cost_usd.expected)
        if priced and each.cost_usd is not None
        else each.prompt.expected + each.completion.expected
        for _, each in models
    ]
    total = sum(amounts)
    shared = zip(models, amounts, strict=True) if total else ()
    return {(number, each.model): amount / total / (each.calls or 1) for (number, each), amount in shared}
