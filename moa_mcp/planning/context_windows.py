"""Checks whether the prompts of a pipeline fit the context windows of its models, before the first call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from moa_mcp.config import Pipeline, models_of
from moa_mcp.config.problems import within
from moa_mcp.images.tokens import ImageTokens
from moa_mcp.model import Usable, targets_by_alias
from moa_mcp.planning.forecast import Drafts, PromptCalls, assumed, model_calls, step_forecast
from moa_mcp.planning.plan import Lint
from moa_mcp.routing import catalog
from moa_mcp.steps import Step
from moa_mcp.steps.forecast import ExpectedAnswer, ExpectedAnswers
from moa_mcp.steps.windows import least
from moa_mcp.text.tokens import LOWER
from moa_mcp.values import Message, Usage


async def windows(pipeline: Pipeline, usable: Usable) -> Mapping[str, int]:
    """Return the known context windows of the models of a pipeline, in tokens, on the routes that would be used now."""
    found = await targets_by_alias(usable, models_of(pipeline))
    known = {alias: catalog.window_at(targets[0]) for alias, targets in found.items() if targets}
    return {alias: window for alias, window in known.items() if window is not None}


async def largest(pipeline: Pipeline, usable: Usable) -> Mapping[str, int]:
    """Return the largest context window of each model on any of its routes; none if that of a route is unknown."""
    found: dict[str, int] = {}
    for alias, targets in (await targets_by_alias(usable, models_of(pipeline))).items():
        sizes = [size for target in targets if (size := catalog.window_at(target)) is not None]
        if sizes and len(sizes) == len(targets):
            found[alias] = max(sizes)
    return found


def too_long(
    pipeline: Pipeline, drafts: Drafts, windows: Mapping[str, int], largest: Mapping[str, int]
) -> Mapping[str, str]:
    """Return the models whose context windows are too small for the question, each with the reason.

    A call that does not fit its first route is sent on another, with the `largest` window. Steps that divide answers
    among several prompts do so for the first route, whose sizes are in `windows`.
    """
    reasons: dict[str, str] = {}
    for step, in_json in zip(pipeline.steps, drafts.in_json(pipeline.steps), strict=True):
        forecast = step_forecast(step, (ExpectedAnswer(0),) * 2, "max", in_json=in_json)
        # a reply that does not fit is not shown again
        first = [prompt for prompt in forecast.prompts if not prompt.call.again]
        least, known = (_smallest, windows) if step.reads_in_windows else (_at_least, largest)
        for models, usage in model_calls(first, drafts, "max", least, _fewest):
            needed = max(1, usage.prompt_tokens) + usage.completion_tokens  # no prompt is empty
            short = [model for model, _ in models if model in known and needed > known[model]]
            reasons.update((model, _too_small(known[model], usage)) for model in short)
    return reasons


def _too_small(window: int, usage: Usage) -> str:
    """Return why a window does not fit a call that takes at least these tokens."""
    prompt, reserved = usage.prompt_tokens, usage.completion_tokens
    if reserved >= window:
        return (
            f"max_tokens = {reserved} for the answer leaves no room for the question in the context window of "
            f"{window} tokens; lower max_tokens, or choose a model with a larger context window"
        )
    return (
        f"the question takes at least {prompt} tokens; with max_tokens = {reserved} for the answer, that "
        f"exceeds the context window of {window} tokens; shorten the question or its context, lower "
        "max_tokens, or choose a model with a larger context window"
    )


def doubts(pipeline: Pipeline, windows: Mapping[str, int]) -> tuple[Lint, ...]:
    """Return the steps in which the answers may exceed the context window of a model that reads all of them."""
    found: list[Lint] = []
    answers: ExpectedAnswers = ()
    for index, step in enumerate(pipeline.steps):
        if step.reads_all_answers:
            place = within(f"pipelines.{pipeline.name}", "steps", index)
            found += [Lint(place, doubt) for doubt in dict.fromkeys(_doubts(step, answers, windows))]
        answers = step_forecast(step, answers, "max").answers
    return tuple(found)


def _doubts(step: Step, answers: ExpectedAnswers, windows: Mapping[str, int]) -> Iterator[str]:
    then = "would be called several times" if step.reads_in_windows else "would see only the beginnings of answers"
    tokens = sum(answer.tokens for answer in answers)
    for models, usage in model_calls(step_forecast(step, answers, "max").prompts, Drafts(assumed()), "max"):
        reserved = usage.completion_tokens
        for model, _ in models:
            window = windows.get(model)
            if window is not None and usage.prompt_tokens + reserved > window:
                yield (
                    f"{len(answers)} answers may have {tokens} tokens, but the context window of {model} has {window} "
                    f"tokens, of which {reserved} are reserved for its reply (max_tokens); {model} {then}"
                )


def _fewest(images: ImageTokens) -> int:
    return images.least


def _smallest(messages: Sequence[Message], prompt: PromptCalls) -> int:
    del prompt
    return least(messages)


def _at_least(messages: Sequence[Message], prompt: PromptCalls) -> int:
    del prompt
    return LOWER.messages(message.content for message in messages)
