"""Divides a run's time limit among its steps: when each stops waiting for its calls. Does not wait itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from moa_mcp.steps import Step

QUORUM_REACHED = "the quorum was reached"


class Cutoffs(Struct, frozen=True):
    """When a step stops waiting for its calls, on the event loop's clock in seconds."""

    deadline_s: float = math.inf
    """The run's time limit, in seconds."""
    enough: float = math.inf
    """When a step with its quorum stops waiting."""
    last: float = math.inf
    """When a step without its quorum stops waiting."""
    skips: bool = False
    """Whether the run skips the step if it has no quorum by then."""

    def until(self, now: float, grace_s: float | None, began: str = QUORUM_REACHED) -> tuple[float, str]:
        """Return when a step whose grace period begins now, for the reason `began`, stops waiting, and why."""
        grace = math.inf if grace_s is None else now + grace_s
        if grace < min(self.enough, self.last):
            return grace, f"{began} and the grace period of {grace_s:.3g} s is over"
        return min(self.enough, self.last), self.why

    @property
    def why(self) -> str:
        """Return why a step stops waiting at a cutoff."""
        return f"not enough time left before the deadline of {self.deadline_s:g} s"


class Deadline(Struct, frozen=True):
    """When a run's time is up, on the event loop's clock in seconds."""

    seconds: float
    last_layer: int
    """The number of the last step that calls models."""
    reserve: float
    """When the time reserved for the last layer begins."""
    end: float

    def cutoffs(self, step: int, *, spare: bool) -> Cutoffs:
        """Return when a step stops waiting. A `spare` step is skipped before it uses time of the last layer."""
        if step >= self.last_layer:
            return Cutoffs(self.seconds, self.end, self.end)
        return Cutoffs(self.seconds, self.reserve, self.reserve if spare else self.end, skips=spare)


def deadline(steps: Sequence[Step], seconds: float | None, now: float) -> Deadline:
    """Return the deadline of a run that begins now.

    The time reserved for the last layer is its timeout, or an even share of the run's time if that is shorter.
    """
    layers = {number: step for number, step in enumerate(steps, 1) if step.models}
    last, step = list(layers.items())[-1]
    allowed = math.inf if seconds is None else seconds
    end = now + allowed
    share = min(allowed / len(layers), step.attempt_s or math.inf)
    return Deadline(allowed, last, math.inf if end == math.inf else end - share, end)
