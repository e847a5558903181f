"""The steps of a run and their calls as a table for the terminal, with a bar for each call, to scale.

It shows a finished run as well as a running one, which is drawn again and again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from moa_mcp.cli.bars import NARROWEST, Bar, Scale, legend
from moa_mcp.cli.text import line
from moa_mcp.text.money import dollars
from moa_mcp.trace.trace import CallTrace, StepTrace, Trace
from moa_mcp.values import ACTIVE

_MOST_OF_A_STEP = 12
"""Most calls that are shown of one step."""
_WIDE = 70
"""Columns from which the tokens and cost of each step have room."""
_NAME, _REMARK = (26, 1 / 3), (30, 3 / 8)
"""Most characters of a column, and its largest share of the width."""


class Timeline:
    """A line for each step, and below it a line for each call with its bar.

    Where there are too many, the calls in progress come first, then those that failed, then those that took longest.
    """

    def __init__(
        self,
        trace: Trace,
        now: float | None = None,
        lines: int | None = None,
        *,
        explained: bool = True,
        streams: bool = False,
    ) -> None:
        """Show a run, calls in progress until `now` in seconds since the epoch. `lines` limits the height.

        If `explained`, a legend follows. If `streams`, the answer of the call in progress arrives now.
        """
        self._trace = trace
        self._now = now
        self._lines = lines
        self._explained = explained
        self._streams = streams

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        own = self._trace.steps[self._trace.inherited :]
        calls = [call for step in own for call in step.calls if call.started_at]
        scale = Scale(calls, self._now)
        has_legend = bool(calls) and self._explained
        yield self._table(scale, options, has_legend=has_legend)
        if has_legend:
            yield legend(calls, scale, ascii_only=options.ascii_only)

    def _table(self, scale: Scale, options: ConsoleOptions, *, has_legend: bool) -> Table:
        overflow: Literal["crop", "ellipsis"] = "crop" if options.ascii_only else "ellipsis"
        name, remark = (min(most, int(options.max_width * share)) for most, share in (_NAME, _REMARK))
        rows = Table.grid(padding=(0, 1), expand=True)
        rows.add_column(no_wrap=True, overflow=overflow, max_width=name)
        rows.add_column(ratio=1, no_wrap=True, overflow=overflow, min_width=NARROWEST)
        rows.add_column(justify="right", no_wrap=True)
        rows.add_column(no_wrap=True, overflow=overflow, max_width=remark)
        steps = self._steps()
        room = None if self._lines is None else self._lines - len(steps) - has_legend
        shown = _shown([each.trace for each in steps if each.trace and not each.inherited], room)
        for step in steps:
            self._add(rows, step, shown.get(step.number, ()), scale, wide=options.max_width >= _WIDE)
        return rows

    def _steps(self) -> Sequence[_Step]:
        """Return the steps that fit, the current one among them."""
        planned, reached = self._trace.planned, self._trace.steps
        steps = [
            _Step(number, kind, trace, number <= self._trace.inherited)
            for number, (kind, trace) in enumerate(zip_longest(planned, reached[: len(planned)]), 1)
        ]
        if self._lines is None:
            return steps
        first = max(0, min(len(reached) - 1, len(planned) - self._lines))
        return steps[first : first + max(1, self._lines)]

    def _add(self, rows: Table, step: _Step, shown: Sequence[CallTrace], scale: Scale, *, wide: bool) -> None:
        name = f"{step.number} {line(step.kind)}"
        trace = step.trace
        if trace is None:
            why = "" if self._trace.status in ACTIVE else "not needed" if self._trace.not_needed else "not reached"
            rows.add_row(Text(name, "dim"), Text(why, "dim"))
            return
        took = "" if trace.seconds is None else f"{trace.seconds:.1f}"
        used = "reused" if step.inherited else _used(trace) if wide else ""
        rows.add_row(Text(name, "dim" if step.inherited else "bold"), _answered(trace), took, Text(used, "dim"))
        for call in shown:
            rows.add_row(Text(f"  {line(call.agent)}"), Bar(call, scale), self._took(call), self._remark(call))
        if shown and len(shown) < len(trace.calls):
            rows.add_row(Text(f"  and {len(trace.calls) - len(shown)} more", "dim"))

    def _took(self, call: CallTrace) -> str:
        if call.seconds is not None:
            return f"{call.seconds:.1f}"
        return "" if self._now is None else f"{max(0.0, self._now - call.started_at):.1f}"

    def _remark(self, call: CallTrace) -> Text:
        if call.failure is not None:
            return Text(line(call.failure.kind), "red")
        if self._now is not None and call.completion is None:
            state = "answers now" if self._streams else line(call.window) or _state(call, self._now)
            return Text(state, "cyan")
        own = sum(attempt.joined is None for attempt in call.attempts)
        return Text(f"{own} attempts" if own > 1 else "", "dim")


class _Step(NamedTuple):
    number: int
    kind: str
    trace: StepTrace | None
    """None if it has not started."""
    inherited: bool


def _shown(steps: Sequence[StepTrace], room: int | None) -> Mapping[int, Sequence[CallTrace]]:
    """Return the calls to show, by the number of their step; at most so many lines, if `room` is not None."""
    ranked = [pair for step in steps for pair in enumerate(sorted(step.calls, key=_rank)[:_MOST_OF_A_STEP])]
    # Of calls that answered, each step has its turn.
    calls = [call for _, call in sorted(ranked, key=lambda pair: (_rank(pair[1])[0], pair[0]))]
    more = sum(len(step.calls) > _MOST_OF_A_STEP for step in steps)
    if room is not None and len(calls) + more > room:  # a line for each step says how many more there are
        calls = calls[: max(0, room - sum(bool(step.calls) for step in steps))]
    found: defaultdict[int, list[CallTrace]] = defaultdict(list)
    for call in calls:
        found[call.place.step].append(call)
    return {number: _in_order(each) for number, each in found.items()}


def _rank(call: CallTrace) -> tuple[int, float]:
    if call.failure is None and call.completion is None:
        return 0, call.started_at
    return 1 if call.failure is not None else 2, -(call.seconds or 0.0)


def _in_order(calls: Sequence[CallTrace]) -> Sequence[CallTrace]:
    return sorted(calls, key=lambda call: call.place)


def _answered(step: StepTrace) -> Text:
    if not step.calls:
        return Text()
    answered = Text(f"{step.answered} of {len(step.calls)} answered")
    return answered.append(f", {step.failed} failed", "yellow") if step.failed else answered


def _used(step: StepTrace) -> str:
    usage = step.usage
    if not usage.prompt_tokens and not usage.completion_tokens:
        return ""
    return f"{usage.prompt_tokens:,} in, {usage.completion_tokens:,} out, {dollars(step.cost_usd)}"


def _state(call: CallTrace, now: float) -> str:
    """Return in a few words what a call in progress does."""
    sent = sum(attempt.completion is None and attempt.failure is None for attempt in call.attempts)
    if call.waits is not None and not sent:
        left_s = 0.0 if call.waits.until is None else call.waits.until - now
        return f"waits {left_s:.0f} s" if left_s >= 1 else "waits"
    if sent > 1:
        return f"{sent} requests sent"
    return f"attempt {len(call.attempts)}" if len(call.attempts) > 1 else ""
