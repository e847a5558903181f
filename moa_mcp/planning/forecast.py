"""What the calls of each step take, before any is made: their prompts' tokens and their answers'.

A prompt is the one that `prompts` writes, with answers in it that nobody knows yet: they are counted, not written. So
a forecast for a million tokens takes no memory for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import cycle
from typing import Literal, NamedTuple, TypeAlias

from moa_mcp.config import Defaults
from moa_mcp.steps import Dropout, ModelStep, Propose, Rank, Refine, Sample, Shuffle, Step, Take, Vote, prompts
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Answer, Message, Place, Question, Usage

USUAL_ANSWER = 700
"""The most tokens that an answer is expected to have, which takes 60 % of its limit where that is less."""
USUAL_VERDICT = 20
"""Tokens of a judge's line of JSON."""
ASSUMED_TOKENS = 200
"""Of a question that is not known yet."""

Bound: TypeAlias = Literal["min", "expected", "max"]
Lengths: TypeAlias = tuple[int, ...]
"""The answers that one step hands to the next, as their tokens."""
Count: TypeAlias = Callable[[Sequence[Message], int], int]
"""Returns the tokens of messages in the first of which so many tokens of answers will stand."""


class ModelCalls(NamedTuple):
    """Equal calls of a step."""

    model: str
    """Its alias."""
    times: int
    usage: Usage
    """What each of them takes."""


class Drafts:
    """The prompts of one question with no text in their answers yet; each is written once."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._written: dict[tuple[_Form, str | None, int, bool], tuple[Message, ...]] = {}

    def of(self, step: ModelStep, answers: int, *, cut: bool) -> tuple[Message, ...]:
        """Return the prompt in which a step shows so many answers, all of them `cut` off at their limit or none."""
        form = _form(step)
        key = form, step.prompt, answers, cut
        written = self._written.get(key)
        if written is None:
            empty = [Answer("", "", Place(0, 0), cut=cut)] * answers
            written = self._written[key] = form(self._question, empty, step.prompt)
        return written


_Form: TypeAlias = Callable[[Question, Sequence[Answer], str | None], tuple[Message, ...]]


def _form(step: ModelStep) -> _Form:
    match step:
        case Propose():
            return _ask
        case Rank():
            return prompts.rank
        case Vote(method="judge"):
            return prompts.vote
        case Vote():
            return prompts.restate
        case Refine():
            return _refine
        case _:
            return prompts.synthesize


def _ask(question: Question, answers: Sequence[Answer], instruction: str | None) -> tuple[Message, ...]:
    del answers
    return prompts.ask(question, instruction)


def _refine(question: Question, answers: Sequence[Answer], instruction: str | None) -> tuple[Message, ...]:
    return prompts.refine(question, answers[0], instruction)


def prompt_tokens(messages: Sequence[Message], unwritten: int = 0) -> int:
    """Return about how many tokens the messages have. `unwritten` tokens of answers will stand in the first one."""
    return EXPECTED.messages([message.content for message in messages], unwritten)


def calls(
    step: ModelStep, drafts: Drafts, lengths: Lengths, bound: Bound, count: Count = prompt_tokens
) -> Iterator[ModelCalls]:
    """Yield what each of a step's calls takes that is given answers of such lengths."""
    if step.judges and len(lengths) == 1:
        return  # there is nothing to choose from
    said = _said(step, bound)
    cut = bound == "max"  # an answer of full length has been cut off, and prompts say so
    if isinstance(step, Refine):
        for model, length in zip(cycle(step.models), lengths, strict=False):
            yield ModelCalls(model, 1, Usage(count(drafts.of(step, 1, cut=cut), length), said))
    elif step.models:
        shown = () if isinstance(step, Propose) else lengths
        usage = Usage(count(drafts.of(step, len(shown), cut=cut), sum(shown)), said)
        for model, times in _counted(_asked(step, bound)):
            yield ModelCalls(model, times, usage)


@lru_cache
def _counted(models: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(models).items())


def _asked(step: ModelStep, bound: Bound) -> tuple[str, ...]:
    """Return the models that a step asks, which may stop early."""
    return step.models[: step.fewest] if bound == "min" else step.models


def _said(step: ModelStep, bound: Bound) -> int:
    """Return how many tokens one of the step's calls answers with."""
    limit = step.max_tokens or Defaults().max_tokens
    match bound:
        case "min":
            return 1
        case "expected":
            return min(USUAL_VERDICT, limit) if step.judges else min(USUAL_ANSWER, -(-limit * 3 // 5))
        case _:
            return limit


def after(step: Step, lengths: Lengths, bound: Bound) -> Lengths:
    """Return the answers that a step hands on."""
    match step:
        case Propose():
            return lengths[:1] * step.keep + (_said(step, bound),) * len(_asked(step, bound))
        case Take():
            return lengths[: step.n]
        case Dropout():
            return _drawn(lengths, _kept(step.rate, len(lengths), bound), bound)
        case Rank() | Vote(method="judge" | "majority") | Shuffle() | Sample():
            return _drawn(lengths, step.answers_out(len(lengths)), bound)
        case _:
            return (_said(step, bound),) * step.answers_out(len(lengths))


def _kept(rate: float, count: int, bound: Bound) -> int:
    """Return how many answers a dropout leaves; one always stays."""
    match bound:
        case "min":
            return 1 if rate else count
        case "expected":
            return max(1, round((1 - rate) * count))
        case _:
            return count


def _drawn(lengths: Lengths, count: int, bound: Bound) -> Lengths:
    """Return `count` answers in an order that nobody knows yet: the shortest, average ones, the longest."""
    match bound:
        case "min":
            return tuple(sorted(lengths)[:count])
        case "expected":
            return (-(-sum(lengths) // len(lengths)),) * count
        case _:
            return tuple(sorted(lengths, reverse=True)[:count])


def assumed() -> Question:
    """Return a question of usual length, to stand for one that is not known yet."""
    return Question("x" * EXPECTED.characters(ASSUMED_TOKENS))
