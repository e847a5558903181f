"""How far the answers of a run agree, and what the minority says.

It is read from what a step counted or a judge said, and never from the similarity of texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Literal

from msgspec import Struct

from moa_mcp.steps.sides import Side, outcome, sides
from moa_mcp.trace.trace import StepTrace, Trace
from moa_mcp.values import Answer

_Z = 1.959963984540054
"""Quantile of the normal distribution for an interval of 95 %."""
_LONGEST = 160
_MOST_LINES = 4


class Agreement(Struct, frozen=True):
    """How far the answers of a step agree."""

    step: int
    of: Literal["extracted answers", "judge"]
    verdict: str
    """Of a count: `unanimous`, `majority`, `no majority` or `tie`; else what the judge said."""
    total: int = 0
    """Number of answers that were counted, with those that have no value."""
    sides: tuple[Side, ...] = ()
    """What the answers say, in the order of the count."""

    @property
    def leading(self) -> Side | None:
        """What most answers say; None without a majority, and if a judge decided."""
        return self.sides[0] if self.verdict in {"unanimous", "majority"} else None

    @property
    def dissent(self) -> tuple[Side, ...]:
        """What the other answers say."""
        return self.sides[1:] if self.leading else self.sides


def agreement(trace: Trace) -> Agreement | None:
    """Return the agreement that the last step found which compared answers; None if none did."""
    for at in range(len(trace.steps) - 1, -1, -1):
        found = _of_step(trace.steps[at], trace.steps[at - 1].answers if at else ())
        if found is not None:
            return found
    return None


def _of_step(step: StepTrace, before: Sequence[Answer]) -> Agreement | None:
    tally = step.tally
    if tally is not None and any(each.answers for each in tally.values):
        return Agreement(step.step, "extracted answers", outcome(tally), tally.of, sides(tally, before))
    return Agreement(step.step, "judge", step.verdict) if step.verdict else None


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927), which treats the answers as independent samples."""
    share, square = count / total, _Z * _Z / total
    center, spread = share + square / 2, _Z * sqrt(share * (1 - share) / total + square / (4 * total))
    return max(0.0, (center - spread) / (1 + square)), min(1.0, (center + spread) / (1 + square))


def dissent_lines(trace: Trace) -> Iterator[str]:
    """Yield what the answers say that differ from most, a line for each value; of many values, the first ones."""
    found = agreement(trace)
    dissent = found.dissent if found else ()
    for side in dissent[:_MOST_LINES]:
        says = f": {side.says}" if side.says and side.says != side.value else ""
        yield f"dissent: {_short(side.value)} ({', '.join(side.members)}){says}"
    if len(dissent) > _MOST_LINES:
        yield f"dissent: {len(dissent) - _MOST_LINES} other values"


def _short(value: str) -> str:
    """Return a value on one line, shortened."""
    line = " ".join(value.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
