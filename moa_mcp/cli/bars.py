"""The bars of a timeline: when a call began, waited, was sent, failed and ended, to the scale of its run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from moa_mcp.trace.trace import AttemptTrace, CallTrace

NARROWEST = 10
"""Minimum width of a bar."""


class _Mark(NamedTuple):
    sign: str
    in_ascii: str
    style: str
    meaning: str


_ANSWERED = _Mark("━", "=", "green", "request")
_IN_PROGRESS = _Mark("─", "-", "cyan", "in progress")
_FAILED = _Mark("╌", "x", "red", "failed request")
_WAITS = _Mark("·", ".", "dim", "wait")
_NOTHING = _Mark(" ", " ", "", "")
_MARKS = (_ANSWERED, _IN_PROGRESS, _FAILED, _WAITS)


class _Part(NamedTuple):
    """A part of a bar."""

    begin: float
    end: float
    mark: _Mark


class Scale:
    """Positions on a line of the times of a run. Time without any call, such as before a resume, is left out."""

    def __init__(self, calls: Iterable[CallTrace], now: float | None) -> None:
        """Let calls in progress last until `now`, in seconds since the epoch; if None, until their last known time."""
        self.now = now
        self._busy: list[tuple[float, float]] = []
        for begin, end in sorted((call.started_at, self.end_of(call)) for call in calls):
            if self._busy and begin <= self._busy[-1][1]:
                first, last = self._busy.pop()
                self._busy.append((first, max(last, end)))
            else:
                self._busy.append((begin, end))
        self.seconds = sum(end - begin for begin, end in self._busy)

    def at(self, time: float) -> float:
        """Return the position of a time, from 0 to 1."""
        passed = sum(min(max(time - begin, 0.0), end - begin) for begin, end in self._busy)
        return passed / self.seconds if self.seconds else 0.0

    def end_of(self, call: CallTrace) -> float:
        """Return when a call ended, in seconds since the epoch."""
        if call.seconds is not None:
            return call.started_at + call.seconds
        last = max((_end(attempt) or attempt.started_at for attempt in call.attempts), default=call.started_at)
        return last if self.now is None else max(last, self.now)

    def parts(self, call: CallTrace) -> Iterator[_Part]:
        """Yield the waits of a call, then its attempts, failed ones first: another may have been sent beside them."""
        ended = self.end_of(call)
        ends = [(attempt, _end(attempt) or ended) for attempt in call.attempts]
        attempts = [(attempt, end) for attempt, end in ends if end > call.started_at]  # others are of another process
        waits_since = call.started_at
        for attempt, end in attempts:
            yield _Part(waits_since, attempt.started_at, _WAITS)
            waits_since = max(waits_since, end)
        yield _Part(waits_since, ended, _WAITS)
        for attempt, end in sorted(attempts, key=lambda each: each[0].failure is None):
            yield _Part(attempt.started_at, end, self._mark(attempt))

    def _mark(self, attempt: AttemptTrace) -> _Mark:
        if attempt.failure is not None:
            return _FAILED
        return _IN_PROGRESS if attempt.completion is None and self.now is not None else _ANSWERED


class Bar:
    """The bar of a call, as wide as its column."""

    def __init__(self, call: CallTrace, scale: Scale) -> None:
        self._parts = [_Part(scale.at(part.begin), scale.at(part.end), part.mark) for part in scale.parts(call)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(NARROWEST, options.max_width)
        marks = [_NOTHING] * width
        failed: list[int] = []
        for part in self._parts:
            if part.mark is _WAITS and (part.end - part.begin) * width < 1:
                continue
            begin = min(round(part.begin * width), width - 1)
            end = max(begin + 1, round(part.end * width))
            marks[begin:end] = [part.mark] * (end - begin)
            if part.mark is _FAILED:
                failed.append(begin)
        for begin in failed:  # one that another request covers stays visible, if that one does
            if marks.count(marks[begin]) > 1:
                marks[begin] = _FAILED
        for mark in marks[:width]:
            yield Segment(mark.in_ascii if options.ascii_only else mark.sign, Style.parse(mark.style))


def legend(calls: Iterable[CallTrace], scale: Scale, *, ascii_only: bool) -> Text:
    """Return what the marks mean that can be seen in the bars, and how long all of it took."""
    parts = [part for call in calls for part in scale.parts(call)]
    long = {part.mark for part in parts if part.mark is _FAILED or part.end - part.begin > scale.seconds / 100}
    text = Text(style="dim", no_wrap=True, overflow="ellipsis")
    for mark in _MARKS:
        if mark in long:
            text.append(mark.in_ascii if ascii_only else mark.sign, mark.style).append(f" {mark.meaning}  ")
    return text.append(f"{scale.seconds:.1f} s in all")


def _end(attempt: AttemptTrace) -> float | None:
    return None if attempt.seconds is None else attempt.started_at + attempt.seconds
