"""How a run's deadline is shared out: until when each of its steps waits for its calls. It waits for nothing itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from moa_mcp.steps import Step


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """When a step stops waiting for its calls, in the event loop's seconds."""

    deadline_s: float = math.inf
    """The run's deadline that they come from."""
    enough: float = math.inf
    """When waiting ends for a step that has its quorum."""
    last: float = math.inf
    """When it ends for one that has not."""
    skips: bool = False
    """Whether the run can do without the step that has not."""

    def until(self, now: float, grace_s: float | None) -> tuple[float, str]:
        """Return when waiting ends for a step that has its quorum now, and why."""
        grace = math.inf if grace_s is None else now + grace_s
        if grace < min(self.enough, self.last):
            return grace, f"the quorum was there and its grace of {grace_s:g} s over"
        return min(self.enough, self.last), self.why

    @property
    def why(self) -> str:
        """Return why waiting ends without a grace."""
        return f"the deadline of {self.deadline_s:g} s left no more time"


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a run's time is up, in the event loop's seconds."""

    seconds: float
    last_layer: int
    """The number of the last step that asks models."""
    reserve: float
    """When the last layer's time begins."""
    end: float

    def cutoffs(self, step: int, *, spare: bool) -> Cutoffs:
        """Return when a step stops waiting; one that is `spare` is left out rather than let into the last's time."""
        if step >= self.last_layer:
            return Cutoffs(self.seconds, self.end, self.end)
        return Cutoffs(self.seconds, self.reserve, self.reserve if spare else self.end, skips=spare)


def deadline(steps: Sequence[Step], seconds: float | None, now: float) -> Deadline:
    """Return the deadline of a run that begins now.

    The last layer's time is its timeout, or its even share of the run where that is less.
    """
    layers = {number: step for number, step in enumerate(steps, 1) if step.models}
    last, step = list(layers.items())[-1]
    allowed = math.inf if seconds is None else seconds
    end = now + allowed
    share = min(allowed / len(layers), step.attempt_s or math.inf)
    return Deadline(allowed, last, math.inf if end == math.inf else end - share, end)
