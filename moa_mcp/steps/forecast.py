"""The calls and answers that a step expects, before it makes any call.

Each step returns its own forecast. This module has the values, and what several steps have in common. It counts no
prompts: `planning.forecast` does, with the forms that the steps name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias

from moa_mcp.values import Answer, Message, Question

MAX_TOKENS = 2048
"""Limit of a reply, in tokens, if neither the step nor the configuration sets one."""
USUAL_ANSWER = 700
"""Expected tokens of an answer, at most. With a low limit, 60 % of it are expected."""
USUAL_VERDICT = 20
"""Expected tokens of a judge's line of JSON."""

Bound: TypeAlias = Literal["min", "expected", "max"]
"""Whether replies are as short as possible, as long as usual, or as long as their limit."""
Form: TypeAlias = Callable[[Question, Sequence[Answer], str | None], tuple[Message, ...]]
"""Writes a prompt: question, the answers that it shows, and an instruction that replaces the built-in one."""


class ExpectedAnswer(NamedTuple):
    """An answer whose text does not exist yet."""

    tokens: int
    """Tokens of its text and its comments."""
    agent: str | None = None
    """Its author; None if it depends on the run."""
    comments: int = 0
    """Number of its comments."""


ExpectedAnswers: TypeAlias = tuple[ExpectedAnswer, ...]


class ExpectedCalls(NamedTuple):
    """Equal calls of a step, one after the other."""

    model: str
    """Alias of the model."""
    times: int
    """Number of calls."""
    form: Form
    instruction: str | None
    shown: ExpectedAnswers
    """The answers in the prompt."""
    tokens: int
    """Tokens of each reply."""
    verdict: bool = False
    """Whether the reply is a verdict in a given form, which is sent as a schema."""


class Forecast(NamedTuple):
    """What a step does if nothing fails."""

    calls: tuple[ExpectedCalls, ...]
    answers: ExpectedAnswers
    """The answers that it returns, in order."""


def reply_tokens(limit: int, bound: Bound, *, verdict: bool = False) -> int:
    """Return the tokens of a reply that may have `limit` tokens."""
    match bound:
        case "min":
            return 1
        case "expected":
            return min(USUAL_VERDICT, limit) if verdict else min(USUAL_ANSWER, -(-limit * 3 // 5))
        case "max":
            return limit


@lru_cache
def in_turn(models: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Return the models in order, each with the number of calls that it gets before the next one."""
    return tuple((model, len(tuple(same))) for model, same in groupby(models))


def drawn(answers: ExpectedAnswers, count: int, bound: Bound) -> ExpectedAnswers:
    """Return `count` of the answers in unknown order: the shortest, average ones, or the longest."""
    if not answers:
        return ()
    agents = {answer.agent for answer in answers}
    agent = agents.pop() if len(agents) == 1 else None
    lengths = _picked([answer.tokens for answer in answers], count, bound)
    comments = _picked([answer.comments for answer in answers], count, bound)
    return tuple(ExpectedAnswer(tokens, agent, each) for tokens, each in zip(lengths, comments, strict=True))


def _picked(sizes: list[int], count: int, bound: Bound) -> list[int]:
    if bound == "expected":
        return [-(-sum(sizes) // len(sizes))] * count
    return sorted(sizes, reverse=bound == "max")[:count]
