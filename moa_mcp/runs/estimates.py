"""The estimate of a run that does not start."""

from __future__ import annotations

from decimal import Decimal

from moa_mcp.budget.worst_case import enough_usd
from moa_mcp.config import Config, Pipeline
from moa_mcp.planning.context_windows import windows
from moa_mcp.planning.earlier_turns import fitted
from moa_mcp.planning.estimate import Estimate, estimate, prices
from moa_mcp.providers.backend import Backend
from moa_mcp.values import Question


async def estimated(
    config: Config, backend: Backend, pipeline: Pipeline, question: Question
) -> tuple[Estimate, Decimal]:
    """Return the estimate for the models that would answer now, and the budget that skips no call, in US dollars."""
    resolved = await backend.resolver(config).resolve(pipeline)
    usable = backend.usable(resolved.routes)
    priced = await prices(resolved.pipeline, usable)
    if question.turns:
        question, _ = fitted(resolved.pipeline, question, await windows(resolved.pipeline, usable))
    return estimate(resolved.pipeline, question, priced), enough_usd(resolved.pipeline, question, priced)
