"""Chooses the answers for a prompt that must fit a context window. Pure functions.

Answers that do not fit in one prompt are combined sequentially (Li et al. 2025, arXiv 2502.00674): the first prompt
has as many as fit, the next one has the reply to it and more answers. An answer that does not fit alone is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.images.tokens import usual_tokens
from moa_mcp.text.tokens import CAUTIOUS, size
from moa_mcp.values import Answer, Comment, Message, images_of

LEAST = 240
"""Smallest useful part of an answer, in bytes."""
_MARK = 60
"""Largest length of the text that marks an answer as cut, in bytes."""
_BOUNDARIES = ("\n\n", "\n", ". ", " ")

_Written = TypeVar("_Written", Answer, Comment)

Compose: TypeAlias = Callable[[tuple[Answer, ...]], tuple[Message, ...]]
"""Writes the prompt with these answers."""


def tokens(messages: Sequence[Message]) -> int:
    """Return a cautious (high) estimate of the tokens of the messages."""
    return CAUTIOUS.messages([message.content for message in messages]) + usual_tokens(images_of(messages))


def least(empty: Sequence[Message]) -> int:
    """Return the fewest tokens in which answers can be combined, given a prompt with two empty answers."""
    return tokens(empty) + 2 * (LEAST + _MARK) // CAUTIOUS.per_token


class Fit(Struct, frozen=True):
    """The limits of a prompt."""

    compose: Compose
    room: int | None
    """Tokens of the prompt; None if the limit is unknown."""
    most: int | None = None
    """Largest number of new answers in one prompt; None for no limit."""
    count: Callable[[Sequence[Message]], int] = tokens
    """Returns the tokens of a prompt."""

    def __call__(self, answers: tuple[Answer, ...]) -> bool:
        """Return whether a prompt with these answers is within the token limit."""
        return self.room is None or self.count(self.compose(answers)) <= self.room


class Part(NamedTuple):
    """The answers in one prompt."""

    shown: tuple[Answer, ...]
    rest: tuple[Answer, ...]
    """The answers for the following prompts."""


def part(fit: Fit, so_far: Answer | None, answers: tuple[Answer, ...]) -> Part | None:
    """Return the answers in the next prompt: the combined answer so far, and as many of `answers` as fit.

    If not even one fits, it is cut. None if there is no room for a useful part of it.
    """
    carried = () if so_far is None else (so_far,)
    most = len(answers) if fit.most is None else min(fit.most, len(answers))
    all_fit = fit(carried + answers[:most])  # as in nearly every prompt
    count = most if all_fit else largest(lambda count: fit(carried + answers[:count]), most - 1)
    if count:
        return Part(carried + answers[:count], answers[count:])
    cut = _cut(fit, (*carried, answers[0]))
    return None if cut is None else Part(cut, answers[1:])


def excerpts(fit: Fit, answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    """Return all answers, cut at the same length if they do not fit, for a judge that must compare them.

    If there is no room for a useful part of each, return them uncut: the provider then rejects the prompt.
    """
    return answers if fit(answers) else _cut(fit, answers) or answers


def halved(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    """Return the answers with half of their total length, the longest cut first, for a judge that must compare them."""
    sizes = _sizes(answers)
    most_bytes = largest(lambda limit: sum(min(each, limit) for each in sizes) <= sum(sizes) // 2, max(sizes))
    return tuple(shortened(answer, max(most_bytes, 1)) for answer in answers)


def _cut(fit: Fit, answers: tuple[Answer, ...]) -> tuple[Answer, ...] | None:
    """Return the answers cut at the same length so that they fit; None if there is no room for a useful part of each.

    Comments are removed if there is no room for them.
    """
    longest = max(_sizes(answers))
    most_bytes = largest(lambda limit: fit(tuple(shortened(answer, limit) for answer in answers)), longest)
    if most_bytes >= LEAST:
        return tuple(shortened(answer, most_bytes) for answer in answers)
    bare = tuple(replace(answer, comments=(), shortened=True) if answer.comments else answer for answer in answers)
    return None if bare == answers else bare if fit(bare) else _cut(fit, bare)


def shortened(answer: Answer, limit: int) -> Answer:
    """Return an answer whose text, and the text of each comment, has at most `limit` bytes.

    Texts are cut at the end of a paragraph, a line, a sentence or a word.
    """
    if all(size(comment.text) <= limit for comment in answer.comments):
        return _beginning(answer, limit)
    return replace(_beginning(answer, limit), comments=tuple(_beginning(each, limit) for each in answer.comments))


def _beginning(written: _Written, limit: int) -> _Written:
    text = beginning(written.text, limit)
    return written if text is written.text else replace(written, text=text, shortened=True)


def beginning(text: str, limit: int) -> str:
    """Return a text of at most `limit` bytes, cut at the end of a paragraph, a line, a sentence or a word."""
    if size(text) <= limit:
        return text
    cut = text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
    ends = (cut.rfind(boundary) + len(boundary) for boundary in _BOUNDARIES)
    end = next((end for end in ends if end > len(cut) * 3 // 4), len(cut))
    return cut[:end].rstrip()


def _sizes(answers: Sequence[Answer]) -> list[int]:
    return [size(text) for answer in answers for text in answer.texts]


def largest(holds: Callable[[int], bool], most: int) -> int:
    """Return the largest number from 1 to `most` for which a monotonic condition is true; 0 if there is none."""
    if most and holds(most):
        return most
    held, beyond = 0, most
    while beyond - held > 1:
        middle = (held + beyond) // 2
        held, beyond = (middle, beyond) if holds(middle) else (held, middle)
    return held
