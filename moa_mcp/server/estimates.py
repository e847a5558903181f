"""An estimate as the result of a tool call: the sum first in the text, all of it in the structured content."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import mcp_types as types

from moa_mcp.amounts import dollars
from moa_mcp.budget import data, enough_usd
from moa_mcp.config import Pipeline
from moa_mcp.estimate import NOTES, Estimate, StepEstimate, estimate, prices
from moa_mcp.runs import Runs
from moa_mcp.values import Dollars, Question, Tokens


def _range(kind: str, description: str) -> dict[str, Any]:
    amount = {"type": kind, "minimum": 0}
    return {
        "type": "object",
        "description": description,
        "properties": {"min": amount, "expected": amount, "max": amount},
        "required": ["min", "expected", "max"],
        "additionalProperties": False,
    }


_AMOUNTS = {
    "calls": {"type": "integer", "minimum": 0},
    "prompt_tokens": _range("integer", "Tokens that are sent."),
    "completion_tokens": _range("integer", "Tokens that come back."),
    "cost_usd": {**_range("number", "US dollars; null where unknown."), "type": ["object", "null"]},
}


def _amounts(**more: dict[str, Any]) -> dict[str, Any]:
    properties = {**more, **_AMOUNTS}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


_MODEL = _amounts(
    model={"type": "string"},
    route={"type": ["string", "null"], "description": "Where it would be served now; null if no route can be used."},
    source={"type": "string", "description": "Where the price came from, or why there is none."},
)
_STEP = _amounts(
    step={"type": "integer", "minimum": 1}, kind={"type": "string"}, models={"type": "array", "items": _MODEL}
)
_STRINGS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
SCHEMA: dict[str, Any] = _amounts(
    pipeline={"type": "string"},
    unknown={**_STRINGS, "description": "Models whose price is not known; the cost is then null."},
    steps={"type": "array", "items": _STEP},
    enough_usd={
        "type": ["number", "null"],
        "minimum": 0,
        "description": "With a max_cost_usd of so much, no call is left out; null where a price is unknown.",
    },
    notes={**_STRINGS, "description": "What the numbers rest on."},
)


async def of_pipeline(runs: Runs, pipeline: Pipeline, question: Question) -> types.CallToolResult:
    """Return what a question to a pipeline would take now. Asks no model."""
    usable = runs.backend.usable(runs.config.models)
    priced = await prices(pipeline, usable)
    estimated, enough = estimate(pipeline, question, priced), enough_usd(pipeline, question, priced)
    text = types.TextContent(type="text", text="\n".join(_lines(estimated, enough)))
    return types.CallToolResult(content=[text], structured_content=data(estimated, enough))


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
        yield f"- With max_cost_usd = {enough} or more, no call is left out: a budget holds each at its dearest."
    yield from (f"- {note}" for note in NOTES)


def _amount(each: Estimate | StepEstimate) -> str:
    calls = f"{each.calls} call{'' if each.calls == 1 else 's'}"
    tokens = f"prompt tokens {_counted(each.prompt)}, completion tokens {_counted(each.completion)}"
    return f"{calls}, {_cost(each.cost_usd)}, {tokens}"


def _counted(tokens: Tokens) -> str:
    return f"{tokens.expected} ({tokens.min} to {tokens.max})"


def _cost(cost: Dollars | None) -> str:
    return "cost unknown" if cost is None else f"{dollars(cost.expected)} ({dollars(cost.min)} to {dollars(cost.max)})"
