"""The tools as clients list them: names, descriptions, schemas, and what a host may take them for."""

from __future__ import annotations

from typing import Any

import mcp_types as types

from moa_mcp.config import Pipeline
from moa_mcp.server import estimates, results
from moa_mcp.server.arguments import (
    Arguments,
    AskArguments,
    EstimateArguments,
    ForkArguments,
    ResumeArguments,
    RunArguments,
    TraceArguments,
    WaitArguments,
    schema,
)

_LONG_RESULTS = {"anthropic/maxResultSizeChars": 200_000}


def pipeline_tool(pipeline: Pipeline, *, simulated: bool) -> types.Tool:
    """Return the tool that puts a question to a pipeline."""
    warning = " SIMULATED here: no model is asked." if simulated else ""
    return types.Tool(
        name=pipeline.name,
        title=pipeline.title,
        description=f"{pipeline.description} May take minutes and costs money: every call asks paid models. If the "
        f"status is running, call moa_wait with the run_id.{warning}".strip(),
        input_schema=schema(AskArguments),
        output_schema=results.RUN_SCHEMA,
        annotations=types.ToolAnnotations(
            title=pipeline.title,
            read_only_hint=False,  # it spends money, and hosts run what only reads unasked
            destructive_hint=False,
            idempotent_hint=False,
            open_world_hint=True,
        ),
        _meta=_LONG_RESULTS,
    )


def _own_tool(
    name: str,
    title: str,
    description: str,
    arguments: type[Arguments],
    output: dict[str, Any],
    *,
    asks: bool = False,
    stops: bool = False,
    starts: bool = False,
) -> types.Tool:
    """Return a tool that looks after runs: whether it asks models, ends a run, or begins another with each call."""
    return types.Tool(
        name=name,
        title=title,
        description=description,
        input_schema=schema(arguments),
        output_schema=output,
        annotations=types.ToolAnnotations(
            title=title,
            read_only_hint=not (asks or stops),
            destructive_hint=stops,
            idempotent_hint=not starts,
            open_world_hint=asks,
        ),
        _meta=_LONG_RESULTS,
    )


_TRACE_SCHEMA = {
    "type": "object",
    "properties": {
        "run_id": {"type": "string"},
        "page": {"type": "integer", "minimum": 1},
        "pages": {"type": "integer", "minimum": 1},
        "calls": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["run_id", "page", "pages", "calls"],
}

OWN_TOOLS = (
    _own_tool(
        "moa_wait",
        "Wait for a run",
        "Goes on waiting for a pipeline's run that returned status running, and returns its answer when it is there. "
        "Costs nothing more than the run itself; one that was interrupted goes on from where it was.",
        WaitArguments,
        results.RUN_SCHEMA,
        asks=True,
    ),
    _own_tool(
        "moa_resume",
        "Resume a run",
        "Goes on with a run that failed, was cancelled or was interrupted. What its models already answered is not "
        "paid for again; only the missing calls are.",
        ResumeArguments,
        results.RUN_SCHEMA,
        asks=True,
    ),
    _own_tool(
        "moa_fork",
        "Fork a run",
        "Starts a new run from the answers that stood before a step of another, with another model, prompt or "
        "setting from there on, or the same once more. Only what follows is asked and paid.",
        ForkArguments,
        results.RUN_SCHEMA,
        asks=True,
        starts=True,
    ),
    _own_tool(
        "moa_cancel",
        "Cancel a run",
        "Stops a run; its model calls end at once. What was answered stays in its trace.",
        RunArguments,
        results.RUN_SCHEMA,
        stops=True,
    ),
    _own_tool(
        "moa_trace",
        "Show a run's trace",
        "Shows how a run came to its answer: every prompt, every model's answer, what failed, tokens, seconds and "
        "cost, in pages. Costs nothing.",
        TraceArguments,
        _TRACE_SCHEMA,
    ),
    _own_tool(
        "moa_estimate",
        "Estimate a pipeline's cost",
        "Tells what a pipeline would take before it is asked: calls, tokens and US dollars, for each step and model, "
        "as they are expected and at most. Asks no model and costs nothing.",
        EstimateArguments,
        estimates.SCHEMA,
    ),
)
