"""Whether a pipeline's prompts fit the windows of its models: known before the first call is paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from moa_mcp.config import Pipeline, models_of
from moa_mcp.config.problems import within
from moa_mcp.errors import MissingKey
from moa_mcp.model import Usable
from moa_mcp.planning.forecast import Drafts, assumed, model_calls
from moa_mcp.planning.plan import Lint
from moa_mcp.routing import catalog
from moa_mcp.steps import Step
from moa_mcp.steps.forecast import ExpectedAnswer, ExpectedAnswers
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
        calls, _ = step.forecast((ExpectedAnswer(0),) * 2, "max")
        for call in model_calls(calls, drafts, "max", _smallest if step.reads_in_windows else _at_least):
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
    answers: ExpectedAnswers = ()
    for index, step in enumerate(pipeline.steps):
        if step.reads_all_answers:
            place = within(f"pipelines.{pipeline.name}", "steps", index)
            found += [Lint(place, doubt) for doubt in dict.fromkeys(_doubts(step, answers, windows))]
        answers = step.forecast(answers, "max").answers
    return tuple(found)


def _doubts(step: Step, answers: ExpectedAnswers, windows: Mapping[str, int]) -> Iterator[str]:
    then = "it would be asked several times" if step.reads_in_windows else "it would be shown their beginnings"
    tokens = sum(answer.tokens for answer in answers)
    calls, _ = step.forecast(answers, "max")
    for call in model_calls(calls, Drafts(assumed()), "max"):
        window = windows.get(call.model)
        prompt, said = call.usage.prompt_tokens, call.usage.completion_tokens
        if window is not None and prompt + said > window:
            yield (
                f"{len(answers)} answers may have {tokens} tokens, and {call.model} has a window of {window}, of "
                f"which {said} are kept for its own (max_tokens); {then}"
            )


def _smallest(messages: Sequence[Message], unwritten: int = 0) -> int:
    del unwritten
    return least(messages)


def _at_least(messages: Sequence[Message], unwritten: int = 0) -> int:
    del unwritten
    return LOWER.messages(message.content for message in messages)
