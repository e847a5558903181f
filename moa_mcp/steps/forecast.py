"""The calls and answers that a step expects, before it makes any call.

Each step returns its own forecast. This module has the types and the shared functions. `planning.forecast` counts the
tokens of the prompts, which it writes with the forms in the forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from moa_mcp.values import Answer, CallSettings, Message, Question, ReplySchema

MAX_TOKENS = 2048
"""Default limit of a reply, in tokens."""
USUAL_ANSWER = 700
"""Largest expected length of an answer, in tokens. The expected length is at most 60 % of the limit."""
USUAL_VERDICT = 20
"""Expected length of a verdict (one line of JSON), in tokens."""

Bound: TypeAlias = Literal["min", "expected", "max"]
"""The assumed length of replies: the shortest possible, the expected one, or the limit."""
Form: TypeAlias = Callable[[Question, Sequence[Answer], str | None], tuple[Message, ...]]
"""Writes a prompt from the question, the answers to include, and an instruction that replaces the built-in one."""


class ExpectedAnswer(NamedTuple):
    """An answer whose text does not exist yet."""

    tokens: int
    """Tokens of the text and the comments."""
    agent: str | None = None
    """Alias of the model that writes it; None if it depends on the run."""
    comments: int = 0
    """Number of comments."""
    ranked: bool = False
    """Whether reviewers ranked it."""
    analysis: int = 0
    """Tokens of the analysis of this answer and the others; 0 if there is none."""


ExpectedAnswers: TypeAlias = tuple[ExpectedAnswer, ...]


class ExpectedCalls(NamedTuple):
    """Consecutive identical calls of a step."""

    model: str
    """Alias of the model."""
    times: int
    """Number of calls."""
    form: Form
    instruction: str | None
    shown: ExpectedAnswers
    """The answers in the prompt."""
    tokens: int
    """Tokens of each reply, with its reasoning."""
    reply_schema: ReplySchema | None = None
    """The JSON schema of a verdict or an analysis, which is sent with the request; None for other replies."""
    system: str | None = None
    """The system prompt of the member."""
    analysis: int = 0
    """Tokens of an analysis in the prompt, besides its frame."""
    in_json: bool = False
    """Whether the reply is asked for in JSON by the answer schema of the run, which is in the prompt."""
    again: bool = False
    """Whether the call is made again after a reply that was not valid, which is in the prompt."""


class Forecast(NamedTuple):
    """The calls and answers of a step, if no call fails."""

    calls: tuple[ExpectedCalls, ...]
    answers: ExpectedAnswers
    """The answers after the step, in order."""
    final: bool = False
    """Whether the run ends with the step."""


def reply_tokens(limit: int, bound: Bound, *, verdict: bool = False) -> int:
    """Return the length in tokens of a reply with a limit of `limit` tokens."""
    match bound:
        case "min":
            return 1
        case "expected":
            return min(USUAL_VERDICT, limit) if verdict else min(USUAL_ANSWER, -(-limit * 3 // 5))
        case "max":  # exhaustive
            return limit


def reasoning_tokens(limit: int, bound: Bound, settings: CallSettings) -> int:
    """Return the tokens of reasoning before a reply with a limit of `limit` tokens, which counts them too."""
    if bound != "expected":
        return 0  # the least is none at all; the most is in the limit
    if settings.thinking_tokens is not None:
        return -(-settings.thinking_tokens * 3 // 5)
    return limit * _SHARES.get(settings.reasoning_effort or "none", 0) // 100


_SHARES = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}
"""Percent of the token limit that reasoning takes, by effort, as OpenRouter documents it."""


def drawn(answers: ExpectedAnswers, count: int, bound: Bound) -> ExpectedAnswers:
    """Return `count` answers of an unknown selection: the shortest, average ones, or the longest, as `bound` says."""
    if not answers:
        return ()
    agents = {answer.agent for answer in answers}
    agent = agents.pop() if len(agents) == 1 else None
    lengths = _picked([answer.tokens for answer in answers], count, bound)
    comments = _picked([answer.comments for answer in answers], count, bound)
    ranked = _picked([int(answer.ranked) for answer in answers], count, bound)
    analysis = analysis_of(answers) if count == len(answers) and bound != "min" else 0
    return tuple(
        ExpectedAnswer(tokens, agent, comment, bool(place), analysis)
        for tokens, comment, place in zip(lengths, comments, ranked, strict=True)
    )


def analysis_of(answers: ExpectedAnswers) -> int:
    """Return the tokens of the analysis of these answers; 0 if there is none."""
    return max((answer.analysis for answer in answers), default=0)


def _picked(sizes: list[int], count: int, bound: Bound) -> list[int]:
    if bound == "expected":
        return [-(-sum(sizes) // len(sizes))] * count
    return sorted(sizes, reverse=bound == "max")[:count]
