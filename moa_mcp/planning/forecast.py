"""Counts the tokens of the prompts and replies in a forecast.

A prompt is written with empty answers, and the tokens of the answers are added as a number. So a forecast for a million
tokens needs no text of that length in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from moa_mcp.images.tokens import ImageTokens
from moa_mcp.steps import Step, StepBase, prompts
from moa_mcp.steps.comparisons import EMPTY, listed
from moa_mcp.steps.forecast import Bound, ExpectedAnswer, ExpectedAnswers, ExpectedCalls, Form
from moa_mcp.steps.members import addressed
from moa_mcp.steps.results import FAULT_CHARACTERS, REPEATS, writers
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Analysis, Answer, Comment, Message, Place, Placement, Question, Usage

ASSUMED_TOKENS = 200
"""Assumed tokens of a question that is unknown."""

NO_IMAGES: Final[Mapping[str, ImageTokens]] = MappingProxyType({})

_KEPT = 2048
"""Maximum number of forecasts in the cache."""
_forecasts: dict[tuple[int, ExpectedAnswers, Bound, bool], tuple[Step, StepForecast]] = {}
"""By the identity of the step, because a comparison of steps by value takes longer than a forecast."""


class PromptCalls(NamedTuple):
    """Consecutive calls of a step that have the same prompt."""

    call: ExpectedCalls
    """The first of them."""
    unwritten: int
    """Tokens of texts in the prompt that do not exist yet: answers, their analysis, and a reply that was not valid."""
    models: tuple[tuple[str, int], ...]
    """The aliases of the models, each with its number of calls."""


class StepForecast(NamedTuple):
    """The calls and answers of a step, if no call fails."""

    calls: int
    """Number of all calls."""
    prompts: tuple[PromptCalls, ...]
    answers: ExpectedAnswers
    """The answers after the step, in order."""
    final: bool
    """Whether the run ends with the step."""


def step_forecast(step: Step, answers: ExpectedAnswers, bound: Bound, *, in_json: bool = False) -> StepForecast:
    """Return the forecast of a step. It does not depend on the question, so the runs of a pipeline share it.

    With `in_json`, its replies are asked for in JSON, and in the maximum each of them is asked for again.
    """
    key = id(step), answers, bound, in_json
    known = _forecasts.get(key)
    if known is None:
        if len(_forecasts) >= _KEPT:
            _forecasts.clear()
        calls, then, final = step.forecast(answers, bound)
        if in_json:
            calls = tuple(_in_json(calls, bound))
        forecast = StepForecast(sum(call.times for call in calls), _by_prompt(calls), then, final)
        known = _forecasts[key] = step, forecast  # with the step, whose identity stays its own
    return known[1]


def _by_prompt(calls: Iterable[ExpectedCalls]) -> tuple[PromptCalls, ...]:
    """Return the calls by their prompts: the agents of a step usually have the same one."""
    prompts: list[PromptCalls] = []
    for _, same in groupby(calls, itemgetter(slice(_PROMPT, None))):
        first, *more = same
        unwritten = sum(answer.tokens for answer in first.shown) + first.analysis + (first.tokens if first.again else 0)
        prompts.append(PromptCalls(first, unwritten, tuple((call.model, call.times) for call in (first, *more))))
    return tuple(prompts)


def _in_json(calls: Iterable[ExpectedCalls], bound: Bound) -> Iterator[ExpectedCalls]:
    for call in calls:
        yield call._replace(in_json=True)
        if bound == "max":
            yield call._replace(in_json=True, again=True, times=call.times * REPEATS)


class ModelCalls(NamedTuple):
    """Calls of a step that take the same tokens."""

    models: tuple[tuple[str, int], ...]
    """The aliases of the models, each with its number of calls."""
    usage: Usage
    """Tokens of each call."""


class Drafts:
    """The prompts for one question, with empty answers. Each prompt is written once and cached."""

    def __init__(self, question: Question, images: Mapping[str, ImageTokens] = NO_IMAGES) -> None:
        """`images` are the tokens of the images that each model gets, by alias."""
        self._question = question
        self.images = images
        self._written: dict[
            tuple[Form, str | None, str | None, tuple[tuple[int, bool], ...], bool, bool, bool], tuple[Message, ...]
        ] = {}

    @property
    def answer_schema(self) -> str | None:
        """The schema of the answer, if it is to be JSON."""
        return self._question.answer_schema

    def in_json(self, steps: Sequence[StepBase]) -> tuple[bool, ...]:
        """Return for each step whether its replies are asked for in JSON."""
        return writers(steps) if self.answer_schema is not None else (False,) * len(steps)

    def of(self, call: ExpectedCalls, *, cut: bool) -> tuple[Message, ...]:
        """Return the prompt of a call; with `cut`, all answers and comments in it are marked as cut off."""
        shown = tuple([(answer.comments, answer.ranked) for answer in call.shown])
        key = call.form, call.instruction, call.system, shown, cut, call.in_json, call.again
        written = self._written.get(key)
        if written is None:
            place, comment = Place(0, 0), Comment("", "", Place(0, 0), cut=cut)
            rank = Placement(99, 99, 0.0) if cut else Placement(1, 1, 0.0)
            empty = [
                Answer("", "", place, cut=cut, comments=(comment,) * each.comments, rank=rank if each.ranked else None)
                for each in call.shown
            ]
            written = call.form(addressed(self._question, call.system), empty, call.instruction)
            written = self._written[key] = self._with_schema(written, call)
        return written

    def _with_schema(self, messages: tuple[Message, ...], call: ExpectedCalls) -> tuple[Message, ...]:
        if call.in_json and self.answer_schema is not None:
            messages = prompts.in_json(messages, self.answer_schema)
        if call.again:  # each character of a fault may take four bytes
            messages = prompts.corrected(messages, " ", "x" * 4 * FAULT_CHARACTERS)
        return messages


def prompt_tokens(messages: Sequence[Message], unwritten: int = 0) -> int:
    """Return the estimated tokens of messages, plus `unwritten` tokens for the answers in the first one."""
    return EXPECTED.messages([message.content for message in messages], unwritten)


Count: TypeAlias = Callable[[Sequence[Message], PromptCalls], int]
"""Returns the tokens of a prompt that is written with empty answers, with those of the answers."""


def expected_tokens(messages: Sequence[Message], prompt: PromptCalls) -> int:
    """Return the estimated tokens of a prompt."""
    return prompt_tokens(messages, prompt.unwritten)


def model_calls(
    prompts: Iterable[PromptCalls],
    drafts: Drafts,
    bound: Bound,
    count: Count = expected_tokens,
    of_images: Callable[[ImageTokens], int] | None = None,
) -> list[ModelCalls]:
    """Return the calls of a forecast, with their tokens. `of_images` chooses those of images; None as by `bound`."""
    found: list[ModelCalls] = []
    for prompt in prompts:
        call = prompt.call
        messages = drafts.of(call, cut=bound == "max")  # prompts mark answers that reached max_tokens as cut off
        usage = Usage(count(messages, prompt), call.tokens)
        if not drafts.images:
            found.append(ModelCalls(prompt.models, usage))
            continue
        for model, times in prompt.models:
            images = drafts.images.get(model)
            asked = _with_images(usage, images, bound, of_images) if images else usage
            found.append(ModelCalls(((model, times),), asked))
    return found


def _with_images(
    usage: Usage, images: ImageTokens, bound: Bound, of_images: Callable[[ImageTokens], int] | None
) -> Usage:
    more = of_images(images) if of_images else images.most if bound == "max" else images.expected
    return replace(usage, prompt_tokens=usage.prompt_tokens + more)


_PROMPT = ExpectedCalls._fields.index("form")
"""The first of the fields that decide what a call takes."""


def known(answers: Sequence[Answer], analysis: Analysis | None, tokens: Callable[[str], int]) -> ExpectedAnswers:
    """Return the answers with which a run continues, and their analysis, as expected ones."""
    compared = 0
    if analysis is not None:
        frame = tokens(listed(EMPTY, ()))  # is in the prompt of `synthesize_compared`
        compared = max(0, tokens(listed(analysis, answers)) - frame) + 1
    return tuple(
        ExpectedAnswer(
            sum(map(tokens, answer.texts)), answer.agent, len(answer.comments), answer.rank is not None, compared
        )
        for answer in answers
    )


def assumed() -> Question:
    """Return a question of the assumed length, for a question that is unknown."""
    return Question("x" * EXPECTED.characters(ASSUMED_TOKENS))
