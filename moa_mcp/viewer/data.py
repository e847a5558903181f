"""The data of the page: a trace as JSON, with each longer text once. Most texts of a run are in several prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias, cast

from moa_mcp.trace import json
from moa_mcp.trace.trace import Trace
from moa_mcp.viewer.markdown import tree

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
PARSED = 1_000_000
"""Maximum characters of Markdown in one page."""
SHARED = 100
"""Minimum characters of a text that is stored once, though it occurs several times."""


def data_of(trace: Trace) -> dict[str, Json]:
    """Return the run, the trees of its Markdown texts, and its repeated texts, to which the others refer."""
    run: dict[str, Json] = {"run": cast("Json", json.full(trace)), "markdown": [*_markdown(trace)]}
    repeated = {text: number for number, text in enumerate(_repeated(run))}
    return {**{name: shortened(value, repeated) for name, value in run.items()}, "texts": [*repeated]}


def _markdown(trace: Trace) -> Iterator[list[Json]]:
    """Yield each text that is shown as Markdown with its tree, the answer first."""
    calls = (call.completion for step in reversed(trace.steps) for call in step.calls)
    texts = dict.fromkeys(text for text in (trace.answer, *(each and each.text for each in calls)) if text)
    length = 0
    for text in texts:
        length += len(text)
        if length > PARSED:
            return
        parsed = shown_tree(text)
        if parsed is not None:
            yield [text, parsed]


def shown_tree(text: str) -> Json:
    """Return the tree of a Markdown text; None if the text is shown as it is."""
    parsed = tree(text)
    return None if parsed == [["p", text]] else cast("Json", parsed)


def _repeated(value: Json) -> Iterator[str]:
    counts = Counter(text for text in _texts(value) if len(text) >= SHARED)
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


def shortened(value: Json, numbers: dict[str, int]) -> Json:
    """Return the data with a reference in place of each text that has a number."""
    if isinstance(value, str):
        return {"$text": numbers[value]} if value in numbers else value
    if isinstance(value, dict):
        return {name: shortened(each, numbers) for name, each in value.items()}
    if isinstance(value, list):
        return [shortened(each, numbers) for each in value]
    return value
