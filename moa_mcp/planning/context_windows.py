"""Whether a pipeline's prompts fit the windows of its models: known before the first call is paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from moa_mcp.config import Pipeline, models_of
from moa_mcp.config.problems import within
from moa_mcp.errors import MissingKey
from moa_mcp.model import Usable
from moa_mcp.planning.forecast import Drafts, Lengths, after, assumed, calls
from moa_mcp.planning.plan import Lint
from moa_mcp.routing import catalog
from moa_mcp.steps import Aggregate, ModelStep, Rank, Synthesize, Vote
from moa_mcp.steps.windows import least
from moa_mcp.text.tokens import LOWER
from moa_mcp.values import Message, Question


async def windows(pipeline: Pipeline, usable: Usable) -> Mapping[str, int]:
    """Return the context windows of a pipeline's models on the routes that would be taken now, where they are known."""
    known: dict[str, int] = {}
    for alias in models_of(pipeline):
        try:
            window = catalog.window_at((await usable(alias))[0])
        except MissingKey:
            continue
        if window is not None:
            known[alias] = window
    return known


def too_long(pipeline: Pipeline, question: Question, windows: Mapping[str, int]) -> Mapping[str, str]:
    """Return the models that can't be asked, since the question alone is too long for them; each with the reason."""
    reasons: dict[str, str] = {}
    drafts = Drafts(question)
    for step in pipeline.steps:
        if not isinstance(step, ModelStep):
            continue
        reads_all = isinstance(step, Synthesize | Aggregate)
        for call in calls(step, drafts, (0, 0), "max", _smallest if reads_all else _at_least):
            window = windows.get(call.model)
            prompt, said = call.usage.prompt_tokens, call.usage.completion_tokens
            if window is not None and said >= window:
                reasons[call.model] = (
                    f"max_tokens = {said} for the answer leaves nothing of the window of {window} for the question; "
                    "lower max_tokens, or choose a model with a larger window"
                )
            elif window is not None and prompt + said > window:
                reasons[call.model] = (
                    f"the question takes about {prompt} tokens, and with max_tokens = {said} for the answer that is "
                    f"beyond the window of {window}; shorten it or its context, lower max_tokens, or choose a model "
                    "with a larger window"
                )
    return reasons


def doubts(pipeline: Pipeline, windows: Mapping[str, int]) -> tuple[Lint, ...]:
    """Return the steps whose answers may not fit the windows of the models that are to read them all."""
    found: list[Lint] = []
    lengths: Lengths = ()
    for index, step in enumerate(pipeline.steps):
        if isinstance(step, Synthesize | Aggregate | Rank | Vote):
            place = within(f"pipelines.{pipeline.name}", "steps", index)
            found += [Lint(place, doubt) for doubt in dict.fromkeys(_doubts(step, lengths, windows))]
        lengths = after(step, lengths, "max")
    return tuple(found)


def _doubts(step: Synthesize | Aggregate | Rank | Vote, lengths: Lengths, windows: Mapping[str, int]) -> Iterator[str]:
    compares = isinstance(step, Rank | Vote)
    then = "it would be shown their beginnings" if compares else "it would be asked several times"
    for call in calls(step, Drafts(assumed()), lengths, "max"):
        window = windows.get(call.model)
        prompt, said = call.usage.prompt_tokens, call.usage.completion_tokens
        if window is not None and prompt + said > window:
            yield (
                f"{len(lengths)} answers may have {sum(lengths)} tokens, and {call.model} has a window of {window}, of "
                f"which {said} are kept for its own (max_tokens); {then}"
            )


def _smallest(messages: Sequence[Message], unwritten: int = 0) -> int:
    del unwritten
    return least(messages)


def _at_least(messages: Sequence[Message], unwritten: int = 0) -> int:
    del unwritten
    return LOWER.messages(message.content for message in messages)
