"""The tools as clients list them: names, descriptions, schemas and annotations.

Hosts put all of this into the context of a model, so every word counts; a test limits the tokens.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import mcp_types as types

from moa_mcp.config import OwnTool, Pipeline
from moa_mcp.server import output_schemas
from moa_mcp.server.arguments import (
    Arguments,
    AskArguments,
    EstimateArguments,
    ForkArguments,
    ResumeArguments,
    RunArguments,
    TraceArguments,
    ViewArguments,
    WaitArguments,
    schema,
)
from moa_mcp.server.readiness import Readiness

VIEW: OwnTool = "moa_view"
"""The tool with which the page of a run follows it. Only hosts that render the page list it, and not to models."""
SHOWN_RUNS: frozenset[OwnTool] = frozenset({"moa_resume", "moa_fork", "moa_trace"})
"""Tools beside the pipelines whose calls a host shows as a run. moa_wait would show a run a second time."""
_LONG_RESULTS = {"anthropic/maxResultSizeChars": 200_000}


def pipeline_tool(pipeline: Pipeline, readiness: Readiness, *, simulated: bool) -> types.Tool:
    """Return the tool that sends a question to a pipeline."""
    description = f"{pipeline.description} SIMULATED: no model is called." if simulated else pipeline.description
    return types.Tool(
        name=pipeline.name,
        title=pipeline.title,
        description=readiness.described(description).strip(),
        input_schema=schema(AskArguments),
        output_schema=output_schemas.RUN,
        annotations=types.ToolAnnotations(
            read_only_hint=False,  # it costs money, and hosts may call read-only tools without asking
            destructive_hint=False,
            open_world_hint=True,
        ),
        _meta=_LONG_RESULTS,
    )


def _own_tool(
    name: OwnTool,
    title: str,
    description: str,
    arguments: type[Arguments],
    output: dict[str, Any],
    *,
    asks: bool = False,
    stops: bool = False,
    starts: bool = False,
    long: bool = True,
) -> types.Tool:
    """Return a tool that manages runs. It may call models (`asks`), end or start a run, or return a `long` result."""
    return types.Tool(
        name=name,
        title=title,
        description=description,
        input_schema=schema(arguments),
        output_schema=output,
        annotations=types.ToolAnnotations(
            read_only_hint=not (asks or stops),
            destructive_hint=stops,
            idempotent_hint=None if starts else True,
            open_world_hint=asks,
        ),
        _meta=_LONG_RESULTS if long else None,
    )


@cache
def own_tools() -> tuple[types.Tool, ...]:
    """Return the tools that manage runs. They are built when a client lists them: the first answer need not wait."""
    return (
        _own_tool(
            "moa_wait",
            "Wait for a run",
            "Wait for a running or interrupted run and return its answer. No extra cost.",
            WaitArguments,
            output_schemas.RUN,
            asks=True,
        ),
        _own_tool(
            "moa_resume",
            "Resume a run",
            "Resume a failed, cancelled or interrupted run. Completed calls are not paid for again.",
            ResumeArguments,
            output_schemas.RUN,
            asks=True,
        ),
        _own_tool(
            "moa_fork",
            "Fork a run",
            "Branch a new run from step N of an earlier run. Only calls from step N on are paid for.",
            ForkArguments,
            output_schemas.RUN,
            asks=True,
            starts=True,
        ),
        _own_tool(
            "moa_cancel",
            "Cancel a run",
            "Cancel a run and its model calls. The trace remains.",
            RunArguments,
            output_schemas.RUN,
            stops=True,
            long=False,
        ),
        _own_tool(
            "moa_trace",
            "Show a run's trace",
            "Return a run's prompts, answers, failures, tokens, times and costs, in pages. Free.",
            TraceArguments,
            output_schemas.TRACE_PAGE,
        ),
        _own_tool(
            "moa_estimate",
            "Estimate a pipeline's cost",
            "Estimate a pipeline's calls, tokens and cost in US dollars. Free.",
            EstimateArguments,
            output_schemas.ESTIMATE,
            long=False,
        ),
    )


@cache
def view_tool() -> types.Tool:
    """Return the tool of the page."""
    return types.Tool(
        name=VIEW,
        title="Follow a run",
        description="For the page that shows a run: what is new since a mark.",
        input_schema=schema(ViewArguments),
        annotations=types.ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
        _meta={"ui": {"visibility": ["app"]}},
    )
