"""A run as the result of a tool call: the answer first in the text, everything small in the structured content."""

from __future__ import annotations

from typing import Any

import mcp_types as types

from moa_mcp.report import summary
from moa_mcp.runs import another_agent
from moa_mcp.server.status_line import imitated, one_line
from moa_mcp.trace import Trace

_COUNT = {"type": "integer", "minimum": 0}
_SECONDS = {"type": ["number", "null"], "minimum": 0, "description": "Seconds; null while it goes on."}
_COST = {"type": ["number", "null"], "minimum": 0, "description": "US dollars; null where unknown."}
_LAYER = {
    "type": "object",
    "properties": {
        "step": {"type": "integer", "minimum": 1},
        "kind": {"type": "string"},
        "models": {"type": "array", "items": {"type": "string"}},
        "answered": _COUNT,
        "failed": _COUNT,
        "saved_calls": _COUNT,
        "seconds": _SECONDS,
        "prompt_tokens": _COUNT,
        "completion_tokens": _COUNT,
        "cost_usd": _COST,
    },
    "required": ["step", "kind", "models", "answered", "failed", "seconds", "cost_usd"],
}


def _range(kind: str) -> dict[str, Any]:
    amount = {"type": kind, "minimum": 0}
    return {"type": ["object", "null"], "properties": {"min": amount, "expected": amount, "max": amount}}


_ESTIMATE = {
    "type": ["object", "null"],
    "description": "What it was reckoned to take before it asked anybody.",
    "properties": {
        "calls": _COUNT,
        "tokens": _range("integer"),
        "cost_usd": {**_range("number"), "description": "US dollars; null where a price is unknown."},
        "unpriced": {"type": "array", "items": {"type": "string"}, "description": "Models of unknown price."},
        "max_cost_usd": {**_COST, "description": "What it may cost, in US dollars; null for no limit."},
    },
}

_TALLY = {
    "type": ["object", "null"],
    "description": "How the last step that counted came to its answer; null where none has counted.",
    "properties": {
        "step": {"type": "integer", "minimum": 1},
        "values": {
            "type": "array",
            "description": "What the answers came down to, or which of them a judge named; most votes first.",
            "items": {
                "type": "object",
                "properties": {"value": {"type": "string"}, "votes": {"type": "integer", "minimum": 1}},
                "required": ["value", "votes"],
            },
        },
        "abstained": {**_COUNT, "description": "How many hold no value that could be read."},
        "of": {**_COUNT, "description": "How many were counted, abstentions included."},
    },
    "required": ["step", "values", "abstained", "of"],
}

RUN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"enum": ["complete", "degraded", "running", "failed", "cancelled"]},
        "run_id": {
            "type": "string",
            "description": "For moa_wait, moa_cancel, moa_trace and moa://runs/{run_id}.",
        },
        "pipeline": {"type": "string"},
        "seed": {"type": "integer", "description": "Repeats what was left to chance."},
        "answer": {
            "type": ["string", "null"],
            "description": "Null unless the status is complete or degraded.",
        },
        "error": {"type": ["string", "null"], "description": "Why the run failed."},
        "layers": {"type": "array", "items": _LAYER},
        "usage": {
            "type": "object",
            "properties": {
                "prompt_tokens": _COUNT,
                "completion_tokens": _COUNT,
                "cached_tokens": _COUNT,
                "reasoning_tokens": _COUNT,
                "cache_write_tokens": _COUNT,
            },
            "required": ["prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"],
        },
        "cost_usd": _COST,
        "estimate": _ESTIMATE,
        "tally": _TALLY,
        "notes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What was dropped, left out, fallen back on; why a result is degraded.",
        },
    },
    "required": ["status", "run_id", "pipeline", "answer", "error", "layers", "usage", "cost_usd", "notes"],
}

SIMULATED = "simulated: no model was asked"


def of_run(trace: Trace, *, simulated: bool) -> types.CallToolResult:
    """Return what a caller sees of a run, however far it is."""
    content = summary(trace)
    notes = [SIMULATED, *trace.notes] if simulated else list(trace.notes)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=_text(trace, notes))],
        structured_content={**content, "error": trace.error, "notes": notes},
        is_error=trace.status in {"failed", "cancelled"},
    )


def error(message: str) -> types.CallToolResult:
    """Return a result that tells a caller what it did wrong, in a form that a model can act on."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=message)], is_error=True)


def _text(trace: Trace, notes: list[str]) -> str:
    match trace.status:
        case "complete" | "degraded":
            return "\n\n".join([*_head(trace), str(trace.answer), _footer(trace, notes)])
        case "running" if trace.interrupted:
            return (
                f"Interrupted: the server that drove run {trace.run_id} is gone ({progress(trace)}). Nothing paid for "
                f'is lost: moa_wait with run_id = "{trace.run_id}" goes on from there.'
            )
        case "running":
            return (
                f"Still running: {progress(trace)}. There is no answer yet. Call moa_wait with "
                f'run_id = "{trace.run_id}" to go on waiting; do not start the pipeline again.'
            )
        case "cancelled":
            return f"Run {trace.run_id} was cancelled; there is no answer. moa_trace shows what was done."
        case "failed":
            return f"{trace.pipeline} failed: {trace.error}\n\n{_ways_on(trace)}\n\n{_footer(trace, notes)}"


def _head(trace: Trace) -> list[str]:
    """Return the line that stands before an answer: of a complete run none, unless its answer passes for another's."""
    framed = ""
    if imitated(trace.answer or "", trace.pipeline):
        framed = f"The answer of run {trace.run_id} stands between this line and the last one in brackets."
    if trace.status == "degraded":
        return [f"Degraded: {one_line('; '.join(trace.degradations))}{framed and f' ({framed})'}"]
    return [f"Complete: {framed}"] if framed else []


def _ways_on(trace: Trace) -> str:
    """Return what a caller can do about a run that failed."""
    run = f'run_id = "{trace.run_id}"'
    if not trace.steps:
        return f"There is no answer, and nothing was spent. moa_resume with {run} tries again."
    last = trace.steps[-1]
    return (
        f"There is no answer. What the models said before is kept: moa_trace with {run} shows it, moa_resume asks only "
        f'for what is missing, and moa_fork with step = {last.step} and changes = ["{another_agent(last)}"] asks '
        "another model."
    )


def progress(trace: Trace) -> str:
    """Return how far a run is, in a few words."""
    if trace.waiting:
        return trace.waiting
    if not trace.steps:
        return "about to start"
    step = trace.steps[-1]
    done = f": {step.answered} of {len(step.calls)} calls answered" if step.calls else ""
    failed = f", {step.failed} failed" if step.failed else ""
    window = f", {step.window}" if step.window else ""
    return f"step {step.step} of {len(trace.planned)} ({step.kind}){done}{failed}{window}"


def _footer(trace: Trace, notes: list[str]) -> str:
    calls = sum(len(step.calls) for step in trace.steps)
    layers = sum(bool(step.calls) for step in trace.steps)
    cost = "cost unknown" if trace.cost_usd is None else f"${trace.cost_usd:.4f}"
    if trace.estimated is not None and trace.estimated.cost_usd is not None:
        cost += f" of ${trace.estimated.cost_usd.expected:.4f} expected"
    usage = trace.usage
    line = (
        f"[{trace.pipeline}, run {trace.run_id}, {trace.status}: {calls} calls in {layers} layers, "
        f"{trace.seconds or 0:.1f} s, {usage.prompt_tokens} + {usage.completion_tokens} tokens, {cost}]"
    )
    return "\n".join([line, *(f"- {one_line(note)}" for note in notes)])
