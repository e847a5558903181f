"""What is new in a run since a page last asked: a poll costs what is new, and each longer text is sent once.

A page tells the mark that it has: the number of events that it has seen, 0 at first. `live.js` merges the news.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple, cast

from moa_mcp.events import (
    AttemptFailed,
    AttemptFinished,
    AttemptStarted,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    Joined,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
)
from moa_mcp.trace import json
from moa_mcp.trace.trace import Trace
from moa_mcp.values import ACTIVE, Completion
from moa_mcp.viewer.data import PARSED, SHARED, Json, call_of, facts_of, shortened, shown_content, shown_tree

_Key = tuple[int, int]
"""The step and the number of a call."""


class _Change(NamedTuple):
    """What one event changed, and how many texts the run had before it."""

    steps: tuple[int, ...]
    calls: tuple[_Key, ...]
    began: bool
    """Whether the prompt of its call is new."""
    texts: int
    answers: int


class Live:
    """A run as its events arrive. Any number of pages can follow it, each with a mark of its own."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.trace = Trace()
        """The trace so far. Its status may be set to that of the run's record."""
        self._changes: list[_Change] = []
        self._texts: list[str] = []
        self._numbers: dict[str, int] = {}
        """Positions in `_texts`."""
        self._answers: list[str] = []
        """The texts that are shown as Markdown."""
        self._shown: set[str] = set()
        self._length = 0
        self._trees: dict[str, Json] = {}
        """The trees that were made, by text; None for a text that is shown as it is."""
        self._facts: tuple[object, Json] = None, None
        """The state of the run for which its facts were computed, and these."""
        self._pending: set[tuple[_Key, int]] = set()
        """The requests in progress, by call and attempt."""
        self.add(events)

    @property
    def mark(self) -> int:
        """How many events the run has."""
        return len(self._changes)

    def add(self, events: Iterable[Event]) -> None:
        """Record the next events."""
        for event in events:
            self._changes.append(self._change(event))
            self.trace.add(event)
            for text in _texts(event):
                if len(text) >= SHARED and text not in self._numbers:
                    self._numbers[text] = len(self._texts)
                    self._texts.append(text)
            self._note_answer(event)

    def news(self, mark: int = 0) -> dict[str, Json]:
        """Return what happened after a mark as JSON; everything for a mark that this run does not have.

        `from` and `mark` are the marks before and after it. `run` has the facts of the run, or None if they are those
        of the mark. `steps` has the changed steps, each with its changed `calls`; a call has its `messages` if it began
        after the mark. `texts` are the new longer texts: everything refers to them by their number in the run, as
        `{"$text": number}`. `markdown` has trees of new texts. `done` says whether the run has ended.
        """
        since = mark if 0 <= mark <= self.mark else 0
        ended = self.trace.status not in ACTIVE or self.trace.interrupted
        texts, answers = self._counts(since)
        new: dict[str, Json] = {
            "run": self._facts_now() if ended or since < self.mark or not since else None,
            "steps": [*self._steps(since, ended=ended)],
            "markdown": [*self._markdown(answers)],
        }
        plain: dict[str, Json] = {"from": since, "mark": self.mark, "done": ended, "texts": [*self._texts[texts:]]}
        return {**plain, **{name: shortened(value, self._numbers) for name, value in new.items()}}

    def _facts_now(self) -> Json:
        """Return the facts of the run. They take all its calls to compute."""
        state = (self.mark, self.trace.status, self.trace.interrupted, self.trace.seconds)
        if self._facts[0] != state:
            self._facts = state, cast("Json", facts_of(self.trace))
        return self._facts[1]

    def _counts(self, mark: int) -> tuple[int, int]:
        """Return how many texts and answers the run had at a mark."""
        if mark == self.mark:
            return len(self._texts), len(self._answers)
        return self._changes[mark].texts, self._changes[mark].answers

    def _steps(self, since: int, *, ended: bool) -> Iterator[Json]:
        changes = self._changes[since:]
        began = {key for change in changes if change.began for key in change.calls}
        stopped = self._pending if ended else ()  # no event says that these requests were stopped
        calls = {*chain.from_iterable(change.calls for change in changes), *(call for call, _ in stopped)}
        steps = {*chain.from_iterable(change.steps for change in changes), *(step for step, _ in calls)}
        for step in sorted(steps):
            changed = [self._call(key, whole=key in began) for key in sorted(calls) if key[0] == step]
            yield cast("Json", json.step_with(self.trace.steps[step - 1], changed))

    def _call(self, key: _Key, *, whole: bool) -> dict[str, object]:
        call = call_of(self.trace.steps[key[0] - 1].calls[key[1] - 1])
        if not whole:
            del call["messages"]
        return call

    def _markdown(self, first: int) -> Iterator[Json]:
        for text in self._answers[first:]:
            if text not in self._trees:
                self._trees[text] = shown_tree(text)
            if self._trees[text] is not None:
                yield [text, self._trees[text]]

    def _change(self, event: Event) -> _Change:
        """Return what an event changes, before it is recorded."""
        steps, calls = tuple[int, ...](), tuple[_Key, ...]()
        match event:
            case CallStarted() | CallFinished() | CallFailed():
                calls = (event.place[:2],)
            case AttemptStarted() | AttemptFinished() | AttemptFailed():
                requests = [(place[:2], attempt) for place, attempt in _requests(event)]
                if isinstance(event, AttemptStarted):
                    self._pending.update(requests)
                else:
                    self._pending.difference_update(requests)
                calls = tuple(call for call, _ in requests)
            case StepStarted() | StepFinished():
                steps = (event.step,)
            case RunResumed():  # the requests in progress were stopped
                calls = tuple(call for call, _ in self._pending)
                self._pending.clear()
            case _:
                pass
        return _Change(steps, calls, isinstance(event, CallStarted), len(self._texts), len(self._answers))

    def _note_answer(self, event: Event) -> None:
        if isinstance(event, RunFinished):
            self._add_answer(event.answer or "")
        elif isinstance(event, CallFinished) and self._length <= PARSED:
            self._add_answer(event.completion.text)

    def _add_answer(self, text: str) -> None:
        if text and text not in self._shown:
            self._shown.add(text)
            self._answers.append(text)
            self._length += len(text)


def _requests(event: AttemptStarted | AttemptFinished | AttemptFailed) -> tuple[Joined, ...]:
    return (Joined(event.place, event.attempt), *event.others)


def _texts(event: Event) -> Iterator[str]:
    """Yield the texts of an event that may be long."""
    match event:
        case CallStarted():
            yield from map(shown_content, event.messages)
        case AttemptFinished() | CallFinished():
            yield from _written(event.completion)
        case AttemptFailed() | CallFailed():
            yield from (event.failure.message, event.failure.reasoning)
        case StepFinished():
            for answer in event.answers:
                yield from (answer.text, *(comment.text for comment in answer.comments))
        case RunStarted():
            question = event.question
            turns = (turn.content for turn in question.turns)
            yield from (question.text, question.context or "", question.system or "", *turns)
        case RunFinished():
            yield from (event.answer or "", event.error or "")
        case _:
            pass


def _written(completion: Completion) -> Iterator[str]:
    for each in (completion, *completion.others):
        yield from (each.text, each.reasoning)
