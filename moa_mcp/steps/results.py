"""Which steps of a pipeline write the answers that may become its result, and so are asked for its form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moa_mcp.steps.step import StepBase

REPEATS = 2
"""How often a reply that is not valid by the answer schema is asked for again."""
FAULT_CHARACTERS = 600
"""Maximum length of what is wrong with a reply, in the prompt that asks for it again."""


def writers(steps: Sequence[StepBase]) -> tuple[bool, ...]:
    """Return for each step whether an answer that it writes may become the result.

    That is the last step that writes answers, and the last one before each step that may end the run; before these,
    also others as long as their answers are kept as they are.
    """
    ends = [*(end for end, step in enumerate(steps) if step.may_be_final), len(steps)]
    found = {position for end in ends for position in _before(steps, end)}
    return tuple(position in found for position in range(len(steps)))


def _before(steps: Sequence[StepBase], end: int) -> Iterator[int]:
    """Yield the positions of the steps that write the answers with which a run ends before a position."""
    for position in range(end - 1, -1, -1):
        if steps[position].writes_answers:
            yield position
        if not steps[position].keeps_answers:
            return
