"""What the calls of a forecast take: the tokens of their prompts and replies.

A prompt is the one that the step would send, with empty answers whose tokens are added: so a forecast for a million
tokens takes no memory for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from moa_mcp.steps.forecast import Bound, ExpectedCalls, Form
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Answer, Comment, Message, Place, Question, Usage

ASSUMED_TOKENS = 200
"""Tokens of a question that is not known."""

Count: TypeAlias = Callable[[Sequence[Message], int], int]
"""Returns the tokens of messages, the first of which also has so many tokens of answers."""


class ModelCalls(NamedTuple):
    """Equal calls of a step."""

    model: str
    """Alias of the model."""
    times: int
    usage: Usage
    """Tokens of each of them."""


class Drafts:
    """The prompts of one question with empty answers; each is written once."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._written: dict[tuple[Form, str | None, tuple[int, ...], bool], tuple[Message, ...]] = {}

    def of(self, call: ExpectedCalls, *, cut: bool) -> tuple[Message, ...]:
        """Return the prompt of a call; with `cut`, all answers and comments in it are marked as cut off."""
        key = call.form, call.instruction, tuple([answer.comments for answer in call.shown]), cut
        written = self._written.get(key)
        if written is None:
            place, comment = Place(0, 0), Comment("", "", Place(0, 0), cut=cut)
            empty = [Answer("", "", place, cut=cut, comments=(comment,) * each.comments) for each in call.shown]
            written = self._written[key] = call.form(self._question, empty, call.instruction)
        return written


def prompt_tokens(messages: Sequence[Message], unwritten: int = 0) -> int:
    """Return about how many tokens the messages have. `unwritten` tokens of answers will stand in the first one."""
    return EXPECTED.messages([message.content for message in messages], unwritten)


def model_calls(
    calls: Iterable[ExpectedCalls], drafts: Drafts, bound: Bound, count: Count = prompt_tokens
) -> Iterator[ModelCalls]:
    """Yield the calls of a forecast with the tokens that each takes."""
    for call in calls:
        messages = drafts.of(call, cut=bound == "max")  # an answer of full length was cut off, and prompts say so
        prompt = count(messages, sum(answer.tokens for answer in call.shown))
        yield ModelCalls(call.model, call.times, Usage(prompt, call.tokens))


def assumed() -> Question:
    """Return a question of usual length, for one that is not known."""
    return Question("x" * EXPECTED.characters(ASSUMED_TOKENS))
