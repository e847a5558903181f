"""The page of the MCP tools, as the server lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import mcp_types as types

from moa_mcp.config import load, shipped
from moa_mcp.server.app import INSTRUCTIONS
from moa_mcp.server.listing import own_tools, pipeline_tool
from moa_mcp.server.readiness import Readiness
from tools.reference.keys import kind
from tools.reference.markdown import code, page, table

_INTRODUCTION = """\
The server has one tool for each pipeline, and tools for runs. A result has the answer as text, and these fields as
structured content. [Time](../time.md) explains waiting and deadlines, [Budgets and limits](../budgets.md) the cost, and
[Durability](../durability.md) resume and fork."""
_PIPELINES = """\
Every pipeline of your configuration is a tool with its name, title and description. The shipped ones are listed in
[Pipelines](pipelines.md). All have the same arguments and results:"""
_MEANING = re.compile(r"(\w+): (.+?)(?=\. \w+: |\. deadline_s and|$)", re.DOTALL)
_OWN = {"run_id": "ID of the run, from the result that started it", "page": "page of the trace, from 1"}
_HINTS = {
    "read_only_hint": "It changes nothing and costs nothing.",
    "destructive_hint": "It stops something, so hosts may ask first.",
    "open_world_hint": "It may call models, which costs money.",
}


def written() -> str:
    """Return the page."""
    shown = pipeline_tool(next(iter(load(shipped()).pipelines.values())), Readiness(ready=True), simulated=False)
    said = dict(_MEANING.findall(INSTRUCTIONS.partition("Arguments of every pipeline. ")[2]))
    return page(
        "MCP tools",
        _INTRODUCTION,
        "## Pipelines",
        _PIPELINES,
        *_contents(shown, {**_descriptions(shown), **said}),
        "`deadline_s` and `max_cost_usd` can only lower the configured limits.",
        *(part for tool in own_tools() for part in _section(tool, {**_OWN, **said, **_descriptions(tool)})),
    )


def _descriptions(tool: types.Tool) -> Mapping[str, str]:
    each = tool.input_schema["properties"]
    return {name: schema["description"] for name, schema in each.items() if "description" in schema}


def _section(tool: types.Tool, meanings: Mapping[str, str]) -> Iterator[str]:
    yield f"## {tool.name}"
    hints = tool.annotations.model_dump() if tool.annotations else {}
    yield " ".join((tool.description or "", *(text for name, text in _HINTS.items() if hints.get(name))))
    yield from _contents(tool, meanings)


def _contents(tool: types.Tool, meanings: Mapping[str, str]) -> Iterator[str]:
    schema, output = tool.input_schema, tool.output_schema or {}
    required = schema.get("required", ())
    yield table(
        ("argument", "value", "meaning"),
        (
            (code(name), kind(each) + ("; required" if name in required else ""), _sentence(meanings.get(name, "")))
            for name, each in sorted(schema["properties"].items(), key=lambda item: item[0] not in required)
        ),
    )
    yield table(
        ("field of the result", "value"),
        ((code(name), _result(each)) for name, each in output.get("properties", {}).items()),
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _result(schema: Mapping[str, Any]) -> str:
    if "type" not in schema:
        return "any JSON, or `null`"
    names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    listed = " or ".join(names)
    return code(*schema["enum"]) if "enum" in schema else listed
