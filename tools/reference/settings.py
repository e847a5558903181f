"""The page of all keys of the configuration outside of steps."""

from __future__ import annotations

from pydantic import BaseModel

from moa_mcp.config import SETTINGS, ModelTable, Pipeline
from moa_mcp.routing.commands import JsonOutput
from moa_mcp.routing.prices import PerMillion
from moa_mcp.routing.routes import Route
from tools.reference.keys import rows, tabulated
from tools.reference.markdown import page, prose

_INTRODUCTION = """\
Every key of `pipelines.toml` except those of [steps](steps.md). [Configuration](../configuration.md) explains where the
file is and how its tables work together."""
_EXPLAINED = {
    "defaults": "[Steps](../steps.md), [Time](../time.md) and [Parameters](../configuration.md#parameters)",
    "limits": "[Time](../time.md) and [Rate limits](../budgets.md#rate-limits)",
    "budget": "[Budgets and limits](../budgets.md)",
    "journal": "[Durability](../durability.md)",
    "panels": "[Panels](../panels.md)",
}
"""The pages that explain each table."""
_OPTIONAL = {"title": "the name, with capitals and spaces", "description": "empty"}
"""Keys that the model of a pipeline always has, but not its table, with their defaults."""


def written() -> str:
    """Return the page."""
    pipeline = [
        each._replace(default=_OPTIONAL.get(each.names[0], each.default))
        for each in rows(Pipeline, leaving_out={"name"})
    ]
    return page(
        "All settings",
        _INTRODUCTION,
        *(part for name, model in SETTINGS.items() for part in _settings(name, model)),
        *_section("## `[models.NAME]`", ModelTable),
        "### Routes",
        f"{prose(Route.__doc__)} It is written as a string, `provider/model` or `command/program`, or as a table:",
        tabulated(rows(Route)),
        *_section("### Prices", PerMillion),
        *_section("### Output of programs", JsonOutput),
        "## `[pipelines.NAME]`",
        "A pipeline, which is an MCP tool with this name.",
        tabulated(pipeline),
    )


def _settings(name: str, model: type[BaseModel]) -> tuple[str, ...]:
    heading, about, keys = _section(f"## `[{name}]`", model)
    return heading, f"{about.replace(f', `[{name}]`', '')} See {_EXPLAINED[name]}.", keys


def _section(heading: str, model: type[BaseModel]) -> tuple[str, ...]:
    return heading, prose(model.__doc__), tabulated(rows(model))
