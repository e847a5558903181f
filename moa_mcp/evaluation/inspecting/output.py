"""A run as the output of a model: its answer, tokens and cost, and as metadata what else is known about it."""

from __future__ import annotations

from inspect_ai.model import ModelCost, ModelOutput, ModelUsage
from pydantic import JsonValue

from moa_mcp.evaluation.execution.asker import Replied
from moa_mcp.trace.costs import calls_of, known_cost
from moa_mcp.trace.trace import Trace

COST = "cost_usd"


def output_of(model: str, reply: Replied) -> ModelOutput:
    """Return the output for a run with an answer."""
    trace = reply.trace or Trace()
    last = trace.steps[-1].answers if trace.steps else ()
    cut = any(each.cut for each in last)
    output = ModelOutput.from_content(model, trace.answer or "", "max_tokens" if cut else "stop")
    output.usage = _usage(trace)
    output.metadata = {**_metadata(trace), "recorded": not reply.fresh}
    output.response_id = trace.run_id
    return output


def rates(output: ModelOutput) -> ModelCost | None:
    """Return rates at which a million tokens cost as much as the run; None if its cost is unknown.

    Inspect computes costs from rates for a million tokens, and takes no sum.
    """
    cost = (output.metadata or {}).get(COST)
    if cost is None:
        return None
    return ModelCost(input=float(cost), output=0, input_cache_write=0, input_cache_read=0)


def _usage(trace: Trace) -> ModelUsage:
    usage = trace.usage
    cached, written = usage.cached_tokens, usage.cache_write_tokens
    return ModelUsage(
        input_tokens=max(0, usage.prompt_tokens - cached - written),
        output_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        input_tokens_cache_read=cached or None,
        input_tokens_cache_write=written or None,
        reasoning_tokens=usage.reasoning_tokens or None,
    )


def _metadata(trace: Trace) -> dict[str, JsonValue]:
    first = trace.steps[0].answers if trace.steps else ()
    calls = calls_of(trace)
    known = known_cost(calls)
    return {
        "run_id": trace.run_id,
        "pipeline": trace.pipeline,
        "status": trace.status,
        COST: None if trace.cost_usd is None else float(trace.cost_usd),
        "known_cost_usd": float(known.usd),
        "unknown_costs": known.unknown,
        "seconds": trace.seconds,
        "calls": len(calls),
        "failed_calls": sum(step.failed for step in trace.steps),
        "degradations": list(trace.degradations),
        "notes": list(trace.notes),
        "samples": [{"model": each.agent, "text": each.text} for each in first],
    }
