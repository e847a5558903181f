"""When the calls of a run began, waited and ended, as one bar per call for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from moa_mcp.cli.text import counted, line
from moa_mcp.trace.trace import AttemptTrace, CallTrace, StepTrace, Trace

_MOST_OF_A_STEP = 12
"""Bars of one step. Of a larger one, those of the calls that failed or took longest are shown."""
_NARROWEST = 10


class _Mark(NamedTuple):
    sign: str
    in_ascii: str
    style: str


_ANSWERED = _Mark("━", "=", "green")
_FAILED = _Mark("╌", "x", "red")
_WAITS = _Mark("·", ".", "dim")
_NOTHING = _Mark(" ", " ", "")
_LEGEND = {_ANSWERED: "request", _FAILED: "failed request", _WAITS: "wait"}


class _Part(NamedTuple):
    """A part of a bar."""

    begin: float
    end: float
    mark: _Mark


class _Scale:
    """Positions on a line of the times of a run. Time without any call, such as before a resume, is left out."""

    def __init__(self, calls: Iterable[CallTrace]) -> None:
        self._busy: list[tuple[float, float]] = []
        for begin, end in sorted((call.started_at, _end(call)) for call in calls):
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


class _Bar:
    """The bar of a call, as wide as its column."""

    def __init__(self, call: CallTrace, scale: _Scale) -> None:
        self._parts = tuple(_Part(scale.at(part.begin), scale.at(part.end), part.mark) for part in _parts(call))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(_NARROWEST, options.max_width)
        marks = [_NOTHING] * width
        for part in self._parts:
            if part.mark is _WAITS and (part.end - part.begin) * width < 1:
                continue
            begin = min(round(part.begin * width), width - 1)
            end = max(begin + 1, round(part.end * width))
            marks[begin:end] = [part.mark] * (end - begin)
        for mark in marks[:width]:
            yield Segment(mark.in_ascii if options.ascii_only else mark.sign, Style.parse(mark.style))


def timeline(trace: Trace) -> Iterator[RenderableType]:
    """Yield a bar to scale for each call that a run made itself, and a legend; nothing if it made none."""
    steps = [step for step in trace.steps[trace.inherited :] if step.calls]
    calls = [call for step in steps for call in step.calls if call.started_at]
    if not calls:
        return
    scale = _Scale(calls)
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(no_wrap=True, overflow="ellipsis", max_width=26)
    rows.add_column(ratio=1)
    rows.add_column(justify="right", no_wrap=True)
    rows.add_column(no_wrap=True, overflow="ellipsis", max_width=24)
    for step in steps:
        rows.add_row(Text(f"{step.step} {step.kind}", "bold"))
        shown = _shown(step)
        for call in shown:
            seconds = "" if call.seconds is None else f"{call.seconds:.1f}"
            rows.add_row(Text(f"  {line(call.agent)}"), _Bar(call, scale), seconds, _remark(call))
        if len(shown) < len(step.calls):
            rows.add_row(Text(f"  and {counted(len(step.calls) - len(shown), 'more call')}", "dim"))
    yield rows
    yield _Legend(calls, scale)


def _shown(step: StepTrace) -> Sequence[CallTrace]:
    if len(step.calls) <= _MOST_OF_A_STEP:
        return step.calls
    foremost = sorted(step.calls, key=lambda call: (call.failure is None, -(call.seconds or 0.0)))
    return sorted(foremost[:_MOST_OF_A_STEP], key=lambda call: call.place)


def _remark(call: CallTrace) -> Text:
    if call.failure is not None:
        return Text(call.failure.kind, "red")
    own = sum(attempt.joined is None for attempt in call.attempts)
    return Text(f"{own} attempts" if own > 1 else "", "dim")


class _Legend:
    """What the marks mean that bars have, and how long all of it took."""

    def __init__(self, calls: Sequence[CallTrace], scale: _Scale) -> None:
        parts = [part for call in calls for part in _parts(call)]
        long = {part.mark for part in parts if part.end - part.begin > scale.seconds / 100}
        self._marks = {mark: text for mark, text in _LEGEND.items() if mark in long}
        self._seconds = scale.seconds

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        legend = Text(style="dim")
        for mark, text in self._marks.items():
            legend.append(mark.in_ascii if options.ascii_only else mark.sign, mark.style).append(f" {text}  ")
        yield legend.append(f"{self._seconds:.1f} s in all")


def _parts(call: CallTrace) -> Iterator[_Part]:
    """Yield the waits of a call, then its attempts, failed ones first: another may have been sent beside them."""
    ended = _end(call)
    ends = [(attempt, _attempt_end(attempt) or ended) for attempt in call.attempts]
    attempts = [(attempt, end) for attempt, end in ends if end > call.started_at]  # others are of an earlier process
    waits_since = call.started_at
    for attempt, end in attempts:
        yield _Part(waits_since, attempt.started_at, _WAITS)
        waits_since = max(waits_since, end)
    yield _Part(waits_since, ended, _WAITS)
    for attempt, end in sorted(attempts, key=lambda each: each[0].failure is None):
        yield _Part(attempt.started_at, end, _ANSWERED if attempt.failure is None else _FAILED)


def _attempt_end(attempt: AttemptTrace) -> float | None:
    return None if attempt.seconds is None else attempt.started_at + attempt.seconds


def _end(call: CallTrace) -> float:
    """Return when a call ended; of one in progress, the last time that is known."""
    if call.seconds is not None:
        return call.started_at + call.seconds
    return max((_attempt_end(attempt) or attempt.started_at for attempt in call.attempts), default=call.started_at)
