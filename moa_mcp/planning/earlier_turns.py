"""Shortens the earlier turns of a conversation so that the prompts of a pipeline fit the context windows of its models.

It is decided once for a run, so that all members and a resumed run get the same turns. The oldest ones are shortened
first, and then left out. The last question and answer stay whole as long as they can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from moa_mcp.config import Pipeline
from moa_mcp.planning.earlier_images import with_newest_images
from moa_mcp.planning.forecast import Drafts, step_forecast
from moa_mcp.steps.forecast import ExpectedAnswers
from moa_mcp.steps.prompts import ONLY_BEGINNING
from moa_mcp.steps.windows import LEAST, beginning, largest, tokens
from moa_mcp.text.tokens import size
from moa_mcp.values import Message, Question

_Turns: TypeAlias = tuple[Message, ...]


class _Room(NamedTuple):
    """What the window of a model leaves for earlier turns."""

    tokens: int
    model: str
    window: int


def fitted(pipeline: Pipeline, question: Question, windows: Mapping[str, int]) -> tuple[Question, str]:
    """Return the question with earlier turns that fit the known windows of the models, and a note if some are cut."""
    if not question.turns:
        return question, ""
    question, fewer = with_newest_images(question)
    room = min(_rooms(pipeline, question, windows), default=None)
    if room is None or tokens(question.turns) <= room.tokens:
        return question, fewer
    turns = _cut(question.turns, lambda turns: tokens(turns) <= room.tokens)
    shorter = _note(question.turns, turns, room)
    return replace(question, turns=turns), f"{fewer}; {shorter}" if fewer else shorter


def _rooms(pipeline: Pipeline, question: Question, windows: Mapping[str, int]) -> Iterator[_Room]:
    """Yield what each call leaves: its window without the reply, the rest of the prompt and the answers in it.

    A step can divide or shorten answers that do not fit, so they leave half of the space at least.
    """
    drafts = Drafts(replace(question, turns=()))
    answers: ExpectedAnswers = ()
    for step in pipeline.steps:
        forecast = step_forecast(step, answers, "max")
        for call, shown, models in forecast.prompts:
            taken = call.tokens + tokens(drafts.of(call, cut=True))
            for model in (model for model, _ in models if model in windows):
                left = max(0, windows[model] - taken)
                yield _Room(left - min(shown, left // 2), model, windows[model])
        answers = forecast.answers


def _cut(turns: _Turns, fits: Callable[[_Turns], bool]) -> _Turns:
    exchanges = _exchanges(turns)
    for count in range(1, len(exchanges)):
        older, newer = _joined(exchanges[:count]), _joined(exchanges[count:])
        if fits((*_beginnings(older, LEAST), *newer)):
            return (*_beginnings(older, _limit(older, newer, fits)), *newer)
    for first in range(1, len(exchanges)):
        left = (*_beginnings(_joined(exchanges[first:-1]), LEAST), *exchanges[-1])
        if fits(left):
            return left
    limit = _limit(exchanges[-1], (), fits)
    return _beginnings(exchanges[-1], limit) if limit >= LEAST else ()


def _exchanges(turns: _Turns) -> list[_Turns]:
    """Return the turns in parts that begin with the user."""
    found: list[_Turns] = []
    for turn in turns:
        if turn.role == "user" or not found:
            found.append(())
        found[-1] = (*found[-1], turn)
    return found


def _joined(exchanges: Sequence[_Turns]) -> _Turns:
    return tuple(turn for exchange in exchanges for turn in exchange)


def _limit(turns: _Turns, newer: _Turns, fits: Callable[[_Turns], bool]) -> int:
    """Return the most bytes of each of these turns with which they fit together with newer ones, which stay whole."""
    longest = max(size(turn.content) for turn in turns)
    return largest(lambda limit: fits((*_beginnings(turns, limit), *newer)), longest)


def _beginnings(turns: _Turns, limit: int) -> _Turns:
    """Return the turns with at most `limit` bytes of each text, which is marked if it is cut."""
    return tuple(turn._replace(content=_beginning(turn.content, limit)) for turn in turns)


def _beginning(text: str, limit: int) -> str:
    whole = text.removesuffix(ONLY_BEGINNING)  # it was cut in an earlier run
    cut = beginning(whole, limit)
    return text if cut is whole else f"{cut}{ONLY_BEGINNING}"


def _note(before: _Turns, after: _Turns, room: _Room) -> str:
    missing = len(before) - len(after)
    kept = before[missing:]
    cut = sum(one != other for one, other in zip(kept, after, strict=True))
    parts = [*([f"{cut} shown only in part"] if cut else []), *([f"{missing} left out"] if missing else [])]
    window = f"the context window of {room.model} ({room.window} tokens)"
    return f"of {len(before)} earlier turns, {' and '.join(parts)}, to fit {window}"
