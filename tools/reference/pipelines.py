"""The page of the shipped pipelines, each with its drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from moa_mcp.config import Pipeline, load, shipped
from tools.reference.drawing import drawn
from tools.reference.layers import in_words, rows
from tools.reference.markdown import page

_INTRODUCTION = """\
The pipelines of the shipped configuration. [Choosing a pipeline](../choosing.md) compares them, [Steps](../steps.md)
explains what the steps do, and [Configuration](../configuration.md) how to write your own. In the drawings, a dot is a
call of a model, and the lines show what it reads. A ring is an answer that is kept; a dashed one may be dropped.

Many models of these pipelines are of 2024 and 2025. If a model has no usable route, a
[stand-in](../panels.md#stand-ins) answers. `moa-mcp check` shows which."""


def written() -> str:
    """Return the page."""
    return page("Pipelines", _INTRODUCTION, *(part for each in _shipped().values() for part in _section(each)))


def drawings() -> Mapping[str, str]:
    """Return the drawings of the pipelines, by the name of the pipeline."""
    return {name: drawn(each.title, rows(each)) for name, each in _shipped().items()}


def _shipped() -> Mapping[str, Pipeline]:
    return load(shipped()).pipelines


def _section(pipeline: Pipeline) -> Iterator[str]:
    yield f"## {pipeline.name}"
    yield pipeline.description
    yield f"![{in_words(rows(pipeline))}](../drawings/{pipeline.name}.svg)"
