"""When a call takes much longer than the others of its step. Does not wait and sends nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import NamedTuple

import anyio

from moa_mcp.values import Call, Completion

_LATE = NormalDist().inv_cdf(0.95)
_SPREAD = 2
"""Minimum number of values for a standard deviation."""


class _Rule(NamedTuple):
    """How much longer than the others a late call takes."""

    together: float
    """Factor for the limit of a call that is compared with others of its step."""
    alone: float
    """Factor for the limit of a call that is compared with earlier steps, whose calls are usually shorter."""
    soonest_s: float
    """Minimum seconds before a second request, however fast the other calls were."""


_WANTED = _Rule(1.0, 2.0, 0.1)
_BY_DEFAULT = _Rule(2.0, 3.0, 1.0)
"""The user did not ask for second requests, so they are for calls that are certainly late."""


@dataclass(slots=True)
class SecondRequest:
    """A second request for a late call."""

    late_s: float
    """When it was sent, in seconds after the call began."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class Pending:
    """A call in progress, and its second request if it is late."""

    call: Call
    began: float
    first: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    second: SecondRequest | None = None
    second_answer: list[tuple[Completion, float]] = field(default_factory=list[tuple[Completion, float]])
    """The answer to the second request, and when that began; empty without an answer."""
    judged: bool = False
    """Whether it was late, so that a second request was sent or rejected."""


class Siblings:
    """The calls of one step and their durations."""

    def __init__(self, earlier: Sequence[tuple[float, bool | None]], recorded: Mapping[int, float]) -> None:
        """`earlier` has the durations of calls of earlier steps, and whether their models reason; None if unknown.

        `recorded` has those of calls of this step that were answered before a resume, by number.
        """
        self.pending: dict[int, Pending] = {}
        self.watched_until = math.inf
        """When the watch looks for late calls next; infinite if nothing is watched."""
        self.woken: anyio.Event | None = None
        """Wakes the watch; None if nothing is watched."""
        self._earlier = earlier
        self._seconds = dict(recorded)
        self._asked: dict[int, bool | None] = dict.fromkeys(recorded)

    def asks(self, call: Call) -> None:
        """Register a call that starts. An earlier duration for it is discarded."""
        self._asked[call.place.number] = call.reasons
        self._seconds.pop(call.place.number, None)

    def answered(self, number: int, seconds: float) -> None:
        """Store the duration of a call."""
        self._seconds[number] = seconds

    def unwatch(self) -> None:
        """Forget a watch that has ended."""
        self.woken, self.watched_until = None, math.inf

    @property
    def durations(self) -> Iterator[tuple[float, bool | None]]:
        """The durations of the answered calls, and whether their models reason."""
        return ((seconds, self._asked[number]) for number, seconds in self._seconds.items())

    @property
    def late_at(self) -> float:
        """When the next call is late; infinite if none can be."""
        latest = self.latest
        return math.inf if latest is None else latest[0]

    @property
    def latest(self) -> tuple[float, Pending] | None:
        """The call that is late next, and when; None if none can be."""
        late: tuple[float, Pending] | None = None
        limits: dict[bool, float | None] = {}
        for pending in self.pending.values():
            if pending.judged:
                continue
            reasons = pending.call.reasons
            if reasons not in limits:
                limits[reasons] = self._late_s(pending.call)
            limit = limits[reasons]
            if limit is not None and (late is None or pending.began + limit < late[0]):
                late = pending.began + limit, pending
        return late

    def _late_s(self, call: Call) -> float | None:
        """Return after how many seconds a call is late; None until half of the other calls, and at least two, answered.

        A call with fewer than two siblings is also compared with the calls of earlier steps. By default, models that
        reason are compared with each other only.

        The limit goes by the 95th percentile of a normal distribution with their mean and standard deviation. The
        percentile of the answered calls alone would be too low, because the slowest ones are still in progress.
        """
        rule, unlike = (_BY_DEFAULT, not call.reasons) if call.hedge == "auto" else (_WANTED, None)

        def like(reasons: bool | None) -> bool:
            return unlike is None or reasons is not unlike

        asked = sum(map(like, self._asked.values()))
        seconds = [took for took, reasons in self.durations if like(reasons)]
        if asked > _SPREAD:
            enough = len(seconds) >= _SPREAD and 2 * len(seconds) >= asked - 1
            return max(rule.soonest_s, rule.together * _longest(seconds)) if enough else None
        seconds += [took for took, reasons in self._earlier if like(reasons)]
        return max(rule.soonest_s, rule.alone * _longest(seconds)) if seconds else None


def _longest(seconds: Sequence[float]) -> float:
    """Return the usual maximum duration. A single value counts as its own standard deviation.

    It is computed for each answer, and `statistics.stdev` would take ten times as long.
    """
    mean = sum(seconds) / len(seconds)
    if len(seconds) < _SPREAD:
        return mean + _LATE * mean
    return mean + _LATE * math.sqrt(sum((each - mean) ** 2 for each in seconds) / (len(seconds) - 1))
