"""The data of the page: a trace as JSON, with each longer text once. Most texts of a run are in several prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias, cast

from moa_mcp.trace import json
from moa_mcp.trace.trace import Trace
from moa_mcp.viewer.markdown import tree

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
_PARSED = 2_000_000
"""Maximum characters of Markdown in one page."""
_SHARED = 100
"""Minimum characters of a text that is stored once, though it occurs several times."""


def data_of(trace: Trace) -> dict[str, Json]:
    """Return the run, the trees of its Markdown texts, and its repeated texts, to which the others refer."""
    run: dict[str, Json] = {"run": cast("Json", json.full(trace)), "markdown": [*_markdown(trace)]}
    repeated = {text: number for number, text in enumerate(_repeated(run))}
    return {**{name: _shortened(value, repeated) for name, value in run.items()}, "texts": [*repeated]}


def _markdown(trace: Trace) -> Iterator[list[Json]]:
    """Yield each text that is shown as Markdown with its tree, the answer first."""
    calls = (call.completion for step in reversed(trace.steps) for call in step.calls)
    texts = dict.fromkeys(text for text in (trace.answer, *(each and each.text for each in calls)) if text)
    length = 0
    for text in texts:
        length += len(text)
        if length > _PARSED:
            return
        parsed = tree(text)
        if parsed not in (None, [["p", text]]):
            yield [text, cast("Json", parsed)]


def _repeated(value: Json) -> Iterator[str]:
    counts = Counter(text for text in _texts(value) if len(text) >= _SHARED)
    return (text for text, number in counts.items() if number > 1)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _shortened(value: Json, repeated: dict[str, int]) -> Json:
    """Return the data with a reference in place of each repeated text."""
    if isinstance(value, str):
        return {"$text": repeated[value]} if value in repeated else value
    if isinstance(value, dict):
        return {name: _shortened(each, repeated) for name, each in value.items()}
    if isinstance(value, list):
        return [_shortened(each, repeated) for each in value]
    return value
