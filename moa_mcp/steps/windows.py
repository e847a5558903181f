"""Which answers stand in a prompt that has to fit a model's context window; pure.

Answers that do not fit together are put together in windows, the sequential form (Li et al. 2025, arXiv 2502.00674):
as many as fit, then what came of them beside the next ones. One that alone does not fit is cut, and marked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias, TypeVar

from moa_mcp.text.tokens import CAUTIOUS, size
from moa_mcp.values import Answer, Comment, Message

_LEAST = 240
"""Bytes of an answer that are worth showing."""
_MARK = 60
"""Bytes, at most, that tell of an answer that only its beginning is there."""
_BOUNDARIES = ("\n\n", "\n", ". ", " ")

_Written = TypeVar("_Written", Answer, Comment)

Compose: TypeAlias = Callable[[tuple[Answer, ...]], tuple[Message, ...]]
"""Writes the conversation that shows answers."""


def tokens(messages: Sequence[Message]) -> int:
    """Return how many tokens the messages have, rather too many than too few."""
    return CAUTIOUS.messages(message.content for message in messages)


def least(empty: Sequence[Message]) -> int:
    """Return the smallest room in which answers can be put together, given a prompt that shows two without a text."""
    return tokens(empty) + 2 * (_LEAST + _MARK) // CAUTIOUS.per_token


@dataclass(frozen=True, slots=True)
class Fit:
    """What a prompt may hold."""

    compose: Compose
    room: int | None
    """Tokens; None if nobody knows."""
    most: int | None = None
    """How many answers it may show that it has not shown before; None for any number."""

    def __call__(self, answers: tuple[Answer, ...]) -> bool:
        """Whether these answers fit."""
        return self.room is None or tokens(self.compose(answers)) <= self.room


class Part(NamedTuple):
    """What one prompt shows of the answers."""

    shown: tuple[Answer, ...]
    rest: tuple[Answer, ...]
    """Those left for the next."""


def part(fit: Fit, so_far: Answer | None, answers: tuple[Answer, ...]) -> Part | None:
    """Return what the next prompt shows: what came of the answers before, and as many of these as fit.

    None if not even a piece of one fits.
    """
    carried = () if so_far is None else (so_far,)
    most = len(answers) if fit.most is None else min(fit.most, len(answers))
    count = _largest(lambda count: fit(carried + answers[:count]), most)
    if count:
        return Part(carried + answers[:count], answers[count:])
    cut = _cut(fit, (*carried, answers[0]))
    return None if cut is None else Part(cut, answers[1:])


def excerpts(fit: Fit, answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    """Return as much of every answer as fits beside the others, for who must see all at once to compare them.

    The whole ones if not even pieces fit: the provider then says so.
    """
    return answers if fit(answers) else _cut(fit, answers) or answers


def halved(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    """Return half as much of the answers together, the longest cut first, for who must see all at once."""
    sizes = _sizes(answers)
    most_bytes = _largest(lambda limit: sum(min(each, limit) for each in sizes) <= sum(sizes) // 2, max(sizes))
    return tuple(shortened(answer, max(most_bytes, 1)) for answer in answers)


def _cut(fit: Fit, answers: tuple[Answer, ...]) -> tuple[Answer, ...] | None:
    """Return the answers cut at the same length so that they fit together; None if not even pieces of them do.

    Comments for which there is no room are left out.
    """
    longest = max(_sizes(answers))
    most_bytes = _largest(lambda limit: fit(tuple(shortened(answer, limit) for answer in answers)), longest)
    if most_bytes >= _LEAST:
        return tuple(shortened(answer, most_bytes) for answer in answers)
    bare = tuple(replace(answer, comments=(), shortened=True) if answer.comments else answer for answer in answers)
    return None if bare == answers else bare if fit(bare) else _cut(fit, bare)


def shortened(answer: Answer, limit: int) -> Answer:
    """Return an answer of `limit` bytes at most, and so each of its comments.

    They are cut at the end of a paragraph, a line, a sentence or a word.
    """
    if all(size(comment.text) <= limit for comment in answer.comments):
        return _beginning(answer, limit)
    return replace(_beginning(answer, limit), comments=tuple(_beginning(each, limit) for each in answer.comments))


def _beginning(written: _Written, limit: int) -> _Written:
    if size(written.text) <= limit:
        return written
    text = written.text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
    ends = (text.rfind(boundary) + len(boundary) for boundary in _BOUNDARIES)
    end = next((end for end in ends if end > len(text) * 3 // 4), len(text))
    return replace(written, text=text[:end].rstrip(), shortened=True)


def _sizes(answers: Sequence[Answer]) -> list[int]:
    return [size(text) for answer in answers for text in answer.texts]


def _largest(holds: Callable[[int], bool], most: int) -> int:
    """Return the largest number from 1 to `most` for which something holds that holds for all smaller ones; else 0."""
    if most and holds(most):
        return most
    held, beyond = 0, most
    while beyond - held > 1:
        middle = (held + beyond) // 2
        held, beyond = (middle, beyond) if holds(middle) else (held, middle)
    return held
