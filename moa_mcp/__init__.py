"""Mixture-of-Agents pipelines: several models answer, others synthesise, rank, vote or aggregate.

The package is an MCP server first (`python -m moa_mcp`); what is listed here is for those who run pipelines from their
own code: load a `Config`, put a `Model` together or take one, and `execute` a `RunSpec`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_NAMES = {
    "moa_mcp.config": ("Config", "Pipeline", "load", "parse"),
    "moa_mcp.engine.execute": ("RunSpec", "execute"),
    "moa_mcp.errors": ("CallError", "ConfigError", "MoaError", "StepFailed"),
    "moa_mcp.events": ("Emit", "Event", "tee"),
    "moa_mcp.images": ("Image", "read_image"),
    "moa_mcp.middleware": ("Limits", "Model", "Shared", "stack"),
    "moa_mcp.planning.plan": ("Plan", "plan"),
    "moa_mcp.trace.trace": ("Trace", "trace_of"),
    "moa_mcp.values": ("Answer", "Call", "Completion", "Message", "Question", "Usage"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker would take every name for one of the package

    def __getattr__(name: str) -> object:
        """Import what is used: a command that needs none of it, such as `--version`, starts in a fifth of the time."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
