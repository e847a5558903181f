"""Mixture-of-Agents pipelines: several models answer, others synthesise, rank, vote or aggregate.

The package is an MCP server first (`python -m moa_mcp`); what is listed here is for those who run pipelines from their
own code: load a `Config`, put a `Model` together or take one, and `execute` a `RunSpec`.
"""

from __future__ import annotations

from moa_mcp.config import Config, Pipeline, load, parse
from moa_mcp.engine.execute import RunSpec, execute
from moa_mcp.errors import CallError, ConfigError, MoaError, StepFailed
from moa_mcp.events import Emit, Event, tee
from moa_mcp.images import Image, read_image
from moa_mcp.middleware import Limits, Model, Shared, stack
from moa_mcp.planning.plan import Plan, plan
from moa_mcp.trace.trace import Trace, trace_of
from moa_mcp.values import Answer, Call, Completion, Message, Question, Usage

__all__ = [
    "Answer",
    "Call",
    "CallError",
    "Completion",
    "Config",
    "ConfigError",
    "Emit",
    "Event",
    "Image",
    "Limits",
    "Message",
    "MoaError",
    "Model",
    "Pipeline",
    "Plan",
    "Question",
    "RunSpec",
    "Shared",
    "StepFailed",
    "Trace",
    "Usage",
    "execute",
    "load",
    "parse",
    "plan",
    "read_image",
    "stack",
    "tee",
    "trace_of",
]
