"""When a call takes much longer than the others of its step. Does not wait and sends nothing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import anyio
from msgspec import Struct, field

from moa_mcp.values import Call, Completion

_LATE = 1.6448536269514715
"""Standard deviations above the mean, where 95 % of a normal distribution are below."""
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
_BY_DEFAULT = _Rule(1.5, 2.5, 0.75)
"""Second requests that the configuration does not ask for are sent only for calls that are certainly late."""
_NONE = "none"
"""No group is unlike a call."""


class SecondRequest(Struct):
    """A second request for a late call."""

    late_s: float
    """When it was sent, in seconds after the call began."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)


class Pending(Struct):
    """A call in progress, and its second request if it is late."""

    call: Call
    began: float
    first: anyio.CancelScope
    second: SecondRequest | None = None
    second_answer: Sequence[tuple[Completion, float]] = ()
    """The answer to the second request, and when that began; empty without an answer."""
    judged: bool = False
    """Whether it was late, so that a second request was sent or rejected."""

    async def second_answers(self) -> bool:
        """Wait for the end of the second request; return whether it was answered."""
        if self.second is not None:
            await self.second.ended.wait()
        return bool(self.second_answer)


class Durations:
    """How many calls take how long: sums, so that an answer costs the same however many there are."""

    __slots__ = ("asked", "count", "squares", "total")

    def __init__(self) -> None:
        self.asked = self.count = 0
        self.total = self.squares = 0.0

    def take(self, seconds: float, count: int = 1) -> None:
        """Count a duration; with -1, take it back."""
        self.count += count
        self.total += count * seconds
        self.squares += count * seconds * seconds

    def add(self, other: Durations) -> None:
        """Count the calls and durations of another group too."""
        self.asked += other.asked
        self.count += other.count
        self.total += other.total
        self.squares += other.squares

    @property
    def longest(self) -> float:
        """The usual maximum: the 95th percentile of a normal distribution. A single value is its own deviation.

        The percentile of the answered calls would be too low, because the slowest ones are still in progress.
        """
        mean = self.total / self.count
        if self.count < _SPREAD:
            return mean + _LATE * mean
        return mean + _LATE * math.sqrt(max(0.0, self.squares - self.total * mean) / (self.count - 1))


_NO_CALLS: Final = Durations()
"""Only read."""

Groups: TypeAlias = Mapping[bool | None, Durations]
"""By whether the models reason; None if unknown."""


class Siblings:
    """The calls of one step and their durations."""

    def __init__(self, earlier: Groups, recorded: Mapping[int, float]) -> None:
        """`earlier` has the calls of earlier steps, `recorded` the durations of calls of this step before a resume."""
        self.groups: defaultdict[bool | None, Durations] = defaultdict(Durations)
        self.pending: dict[int, Pending] = {}
        self.watched_until = math.inf
        """When the watch looks for late calls next; infinite if nothing is watched."""
        self.woken: anyio.Event | None = None
        """Wakes the watch; None if nothing is watched."""
        self._earlier = earlier
        self._recorded = dict(recorded)
        self._asked = len(recorded)
        for seconds in recorded.values():
            self.groups[None].asked += 1
            self.groups[None].take(seconds)

    def asks(self, call: Call) -> bool:
        """Register a call that starts; return whether all that start together with it have started.

        An earlier duration for it is discarded.
        """
        recorded = self._recorded.pop(call.place.number, None) if self._recorded else None
        if recorded is None:
            self._asked += 1
        else:
            self.groups[None].asked -= 1
            self.groups[None].take(recorded, -1)
        self.groups[call.reasons].asked += 1
        return self._asked >= call.last

    def answered(self, call: Call, seconds: float) -> None:
        """Count the duration of a call."""
        self.groups[call.reasons].take(seconds)

    def ends(self, number: int) -> None:
        """Forget a call that has ended. After the last one, the watch ends too."""
        del self.pending[number]
        if not self.pending and self.woken is not None:
            self.woken.set()

    def unwatch(self) -> None:
        """Forget a watch that has ended."""
        self.woken, self.watched_until = None, math.inf

    def next_late(self) -> tuple[float, Pending] | None:
        """Return when the next call is late, and the call; None if none can be."""
        late: tuple[float, Pending] | None = None
        limits: dict[bool, float] = {}
        groups = len(self.groups)
        for pending in self.pending.values():  # in the order of their beginnings
            reasons = pending.call.reasons
            if pending.judged or reasons in limits:
                continue
            limits[reasons] = self._late_s(pending.call)
            late_at = pending.began + limits[reasons]
            if late_at < (math.inf if late is None else late[0]):
                late = late_at, pending
            groups -= 1
            if not groups:
                break
        return late

    def _late_s(self, call: Call) -> float:
        """Return after how many seconds a call is late; infinite until enough other calls were answered.

        That is half of the others, and at least two. A call with fewer than two siblings is also compared with the
        calls of earlier steps. By default, models that reason are compared with each other only.
        """
        rule, unlike = (_BY_DEFAULT, not call.reasons) if call.hedge == "auto" else (_WANTED, _NONE)
        same = _NO_CALLS
        for reasons, durations in self.groups.items():
            if reasons is not unlike:
                same = _sum(same, durations) if same.asked else durations
        if same.asked > _SPREAD:
            enough = same.count >= _SPREAD and 2 * same.count >= same.asked - 1
            return max(rule.soonest_s, rule.together * same.longest) if enough else math.inf
        same = _sum(same, *(durations for reasons, durations in self._earlier.items() if reasons is not unlike))
        return max(rule.soonest_s, rule.alone * same.longest) if same.count else math.inf


def _sum(*groups: Durations) -> Durations:
    total = Durations()
    for durations in groups:
        total.add(durations)
    return total
