"""Where a call of a model comes from: which sample, which epoch, and how many equal calls the sample made before."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple
from weakref import WeakKeyDictionary

from moa_mcp.evaluation.inspecting.private import sample_active


class SamplePlace(NamedTuple):
    """A sample of a task while it is executed."""

    sample: str | int | None
    """Its ID; None outside of a sample, such as in a script."""
    epoch: int
    """From 1."""
    model: str
    """That is evaluated, such as ``moa/vote``; empty outside of a sample."""
    attempt: object
    """The same for all calls of one attempt at the sample, and for no others."""


class _Outside:
    """The attempt of all calls outside of a sample."""


_OUTSIDE = SamplePlace(None, 1, "", _Outside())


def current() -> SamplePlace:
    """Return the place of the calling task.

    Outside of a sample, or if Inspect does not tell it, equal questions are numbered in the order in which they
    arrive, so that a second start may give the answer of one to another. Nothing is lost or paid twice.
    """
    active = sample_active()
    return _OUTSIDE if active is None else SamplePlace(*active)


class CallCounter:
    """Counts equal calls of each attempt at a sample, so that each of them has a run of its own.

    An attempt that is repeated begins to count again, so that it gets the answers of the one before.
    """

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[object, Counter[str]] = WeakKeyDictionary()

    def number(self, place: SamplePlace, content: str) -> int:
        """Return how many calls with this content the attempt made before, and count this one."""
        counts = self._counts.setdefault(place.attempt, Counter())
        counts[content] += 1
        return counts[content] - 1
