"""Bootstrap intervals of what is computed from sums over questions, by cluster.

Clusters are drawn with replacement, in an order that does not depend on that of the questions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from moa_mcp.evaluation.statistics.arrays import Floats
from moa_mcp.evaluation.statistics.figures import Figure

_DRAWS = 4000
_CHUNK = 4_000_000
"""Numbers of draws at a time."""


def bootstrapped(sums: Floats, statistic: Callable[[Floats], Floats], *, level: float, seed: int = 0) -> Figure:
    """Return a statistic with its percentile interval.

    `sums` has the shape (clusters, columns). `statistic` gets totals of the shape (draws, columns) and returns one
    value for each draw, NaN where it is not defined; such draws are left out.
    """
    rows, counts = np.unique(sums, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // len(rows))
    draws = [
        statistic(rng.multinomial(len(sums), counts / len(sums), min(chunk, _DRAWS - start)) @ rows)
        for start in range(0, _DRAWS, chunk)
    ]
    value = float(statistic(sums.sum(axis=0)[None])[0])
    low, high = np.nanquantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
    return Figure(value, min(float(low), value), max(float(high), value))
