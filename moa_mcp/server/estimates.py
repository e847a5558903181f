"""An estimate as a tool result: the total first in the text, everything in the structured content."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import mcp_types as types

from moa_mcp.budget.worst_case import data
from moa_mcp.config import Pipeline
from moa_mcp.planning.estimate import NOTES, Estimate, StepEstimate
from moa_mcp.runs import CallerRuns, estimated
from moa_mcp.text.money import dollars
from moa_mcp.values import Dollars, Question, Tokens


async def of_pipeline(runs: CallerRuns, pipeline: Pipeline, question: Question) -> types.CallToolResult:
    """Return the estimate for a question to a pipeline, at current prices. Calls no model."""
    expected, enough = await estimated(runs.config, runs.backend, pipeline, question)
    text = types.TextContent(type="text", text="\n".join(_lines(expected, enough)))
    return types.CallToolResult(content=[text], structured_content=data(expected, enough))


def _lines(estimated: Estimate, enough: Decimal) -> Iterator[str]:
    yield f"{estimated.pipeline}: {_amount(estimated)}"
    for number, step in enumerate(estimated.steps, 1):
        if step.calls:
            asked = ", ".join(f"{each.calls} x {each.model}" for each in step.models)
            yield f"{number} {step.kind} ({asked}): {_amount(step)}"
    for model, priced in estimated.priced.items():
        route = f" at {priced.route}" if priced.route else ""
        yield f"- {model}{route}: {'' if priced.price else 'price unknown, '}{priced.source}"
    if estimated.cost_usd is not None and estimated.cost_usd.max:
        yield f"- max_cost_usd = {enough} or more skips no call: it covers the worst-case cost of each."
    yield from (f"- {note}" for note in NOTES)


def _amount(each: Estimate | StepEstimate) -> str:
    calls = f"{each.calls} call{'' if each.calls == 1 else 's'}"
    tokens = f"prompt tokens {_counted(each.prompt)}, completion tokens {_counted(each.completion)}"
    return f"{calls}, {_cost(each.cost_usd)}, {tokens}"


def _counted(tokens: Tokens) -> str:
    return f"{tokens.expected} ({tokens.min} to {tokens.max})"


def _cost(cost: Dollars | None) -> str:
    return "cost unknown" if cost is None else f"{dollars(cost.expected)} ({dollars(cost.min)} to {dollars(cost.max)})"
