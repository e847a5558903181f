"""The interval of a ratio of two means over the same questions, by cluster: Fieller's (1954).

Two clusters are added whose denominator is the usual one, with a ratio of 1 and of -1. Without them, means that rest
on few questions with a denominator seem too certain.
"""

from __future__ import annotations

import numpy as np

from moa_mcp.evaluation.statistics.arrays import Floats
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.quantiles import critical


def ratio(sums: Floats, usual: float, level: float) -> Figure | None:
    """Return the ratio of the first to the second mean with its interval.

    `sums` has the shape (clusters, 2). `usual` is the usual denominator of a question that has one. None if the
    denominator may be 0, so that all ratios are possible, or if there are fewer than two clusters.
    """
    if len(sums) < 2:  # noqa: PLR2004
        return None
    extended = np.vstack([sums, [[usual, usual], [-usual, usual]]])
    mean = extended.mean(axis=0)
    errors = critical(level, len(sums) - 1)
    squares = np.outer(mean, mean) - errors**2 * np.cov(extended.T) / len(extended)
    a, b, c = float(squares[1, 1]), float(squares[0, 1]), float(squares[0, 0])
    if a <= 0:
        return None
    apart = float(np.sqrt(max(0.0, b * b - a * c)))
    value = float(sums[:, 0].sum() / sums[:, 1].sum())
    return Figure(value, min(value, (b - apart) / a), max(value, (b + apart) / a))
