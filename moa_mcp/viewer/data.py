"""The data of the page: a trace as JSON, with each longer text once. Most texts of a run are in several prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeAlias, cast

from moa_mcp.images.describing import listed
from moa_mcp.schemas import NotJson, indented, parsed
from moa_mcp.trace import json
from moa_mcp.trace.trace import CallTrace, Trace
from moa_mcp.values import Message
from moa_mcp.viewer.markdown import LONGEST, tree
from moa_mcp.viewer.verdicts import verdict

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Difference: TypeAlias = tuple[int | None, str, str | None, str | None]
"""A setting that differs between two runs: its step, or None for the run; its name; its values as text."""
PARSED = 1_000_000
"""Maximum characters of Markdown in one page."""
SHARED = 100
"""Minimum characters of a text that is stored once, though it occurs several times."""


def data_of(trace: Trace) -> dict[str, Json]:
    """Return the run, the trees of its Markdown texts, and its repeated texts, to which the others refer."""
    return packed({"run": run_of(trace), "markdown": [*_markdown(trace)]})


def compared(trace: Trace, other: Trace, settings: Iterable[Difference] | None) -> dict[str, Json]:
    """Return the data of two runs as `data_of` does: `run` is on the left of the page, `other` on the right.

    `settings` are those that differ; None if they are not known.
    """
    names = ("step", "setting", "one", "other")
    rows: Json = None if settings is None else [dict(zip(names, each, strict=True)) for each in settings]
    runs: dict[str, Json] = {"run": run_of(trace), "other": run_of(other), "settings": rows}
    return packed({**runs, "markdown": [*_markdown(trace, other)]})


def packed(data: dict[str, Json]) -> dict[str, Json]:
    """Return data with `texts`: those that occur more than once, with references to them in their places."""
    repeated = {text: number for number, text in enumerate(_repeated(data))}
    return {**{name: shortened(value, repeated) for name, value in data.items()}, "texts": [*repeated]}


def run_of(trace: Trace) -> Json:
    """Return a whole run as `trace.json.full` does, with the verdicts of its judges."""
    steps = [json.step_with(step, [call_of(call) for call in step.calls]) for step in trace.steps]
    return cast("Json", {**facts_of(trace), "steps": steps})


def facts_of(trace: Trace) -> dict[str, object]:
    """Return a run without its steps; a page has its answer as text."""
    return {name: value for name, value in json.facts(trace).items() if name != "answer_json"}


def call_of(call: CallTrace) -> dict[str, object]:
    """Return a call as JSON, that of a judge with its `verdict`: the numbers that it named, none if it is not valid."""
    found = verdict(call)
    messages = [{"role": each.role, "content": shown_content(each)} for each in call.messages]
    return json.call_of(call) | {"messages": messages} | ({} if found is None else {"verdict": list(found)})


def shown_content(message: Message) -> str:
    """Return the content of a message, after a line for each of its images."""
    return f"{listed(message.images)}\n{message.content}" if message.images else message.content


def _markdown(*traces: Trace) -> Iterator[list[Json]]:
    """Yield each text that is shown as Markdown with its tree, the answers first."""
    answers = (trace.answer for trace in traces)
    calls = (call.completion for trace in traces for step in reversed(trace.steps) for call in step.calls)
    texts = dict.fromkeys(text for text in (*answers, *(each and each.text for each in calls)) if text)
    length = 0
    for text in texts:
        length += len(text)
        if length > PARSED:
            return
        parsed = shown_tree(text)
        if parsed is not None:
            yield [text, parsed]


def shown_tree(text: str) -> Json:
    """Return the tree of a Markdown text, or of JSON as code; None if the text is shown as it is."""
    if (code := _as_code(text)) is not None:
        return [["pre", code]]
    parsed = tree(text)
    return None if parsed == [["p", text]] else cast("Json", parsed)


def _as_code(text: str) -> str | None:
    """Return a text that is a JSON object or list with a line for each value; None for other texts."""
    if len(text) > LONGEST or text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return indented(parsed(text))
    except NotJson:
        return None


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
