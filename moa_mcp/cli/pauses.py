"""What a running run waits for, in sentences: which models, since when, and why a request is not sent yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from moa_mcp.cli.text import counted, line
from moa_mcp.trace.trace import CallTrace, Trace

_NOTABLE_S = 5.0
"""Seconds from which a pause is worth a line where nothing is drawn again."""
_MOST_NAMES = 4


def pauses(trace: Trace, now: float) -> Iterator[str]:
    """Yield a sentence for each reason to wait, at `now` in seconds since the epoch."""
    if trace.waiting:
        yield f"The run is {line(trace.waiting)}."
    steps = (step for step in trace.steps if step.seconds is None)
    calls = [call for step in steps for call in step.calls if call.completion is None and call.failure is None]
    if not trace.waiting and not any(step.calls for step in trace.steps):
        yield "Starting."
    by_reason: defaultdict[str, list[CallTrace]] = defaultdict(list)
    requested: list[CallTrace] = []
    for call in calls:
        if call.waits is None or _sent(call):
            requested.append(call)
        else:
            by_reason[call.waits.reason].append(call)
    if requested:
        since = min(call.started_at for call in requested)
        hedged = sum(_sent(call) > 1 for call in requested)
        second = f"; {counted(hedged, 'second request')} sent because the first is late" if hedged else ""
        yield f"Waiting for {_names(requested)}, {max(0.0, now - since):.0f} s so far{second}."
    for reason, waiting in by_reason.items():
        yield f"{_names(waiting)}: waiting for {line(reason)}{_left(waiting, now)}."


class Notices:
    """The pauses of a run where nothing is drawn again: each long one is printed once."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def new(self, trace: Trace, now: float) -> Iterator[str]:
        """Yield the sentences that were not printed before."""
        if trace.waiting and trace.waiting not in self._printed:
            self._printed.add(trace.waiting)
            yield f"The run is {line(trace.waiting)}."
        for call in (call for step in trace.steps for call in step.calls):
            waits = call.waits
            if waits is None or waits.reason in self._printed or (waits.until or now) - now < _NOTABLE_S:
                continue
            self._printed.add(waits.reason)
            yield f"{line(call.agent)}: waiting for {line(waits.reason)}{_left([call], now)}."


def _sent(call: CallTrace) -> int:
    return sum(attempt.completion is None and attempt.failure is None for attempt in call.attempts)


def _names(calls: Sequence[CallTrace]) -> str:
    counts = Counter(line(call.agent) for call in calls)
    shown = [name if count == 1 else f"{count}x {name}" for name, count in counts.most_common(_MOST_NAMES)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _left(calls: Sequence[CallTrace], now: float) -> str:
    """Return how long the first of these calls still waits, if that is known."""
    ends = [call.waits.until for call in calls if call.waits is not None and call.waits.until is not None]
    left_s = min(ends, default=now) - now
    return f", {left_s:.0f} s left" if left_s >= 1 else ""
