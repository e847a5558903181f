"""How strongly two kinds of errors go together: Yule's Q from the log odds ratio of a table of two by two.

Half a question is added to each cell (Haldane 1956, Anscombe 1956), so that an empty one does not seem certain. With
clusters, the standard error is the jackknife's over clusters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from moa_mcp.evaluation.statistics.arrays import Floats, summed
from moa_mcp.evaluation.statistics.evidence import LEAST_EFFECT
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.quantiles import critical


def yules_q(wrong: Floats, codes: NDArray[np.intp] | None, level: float) -> Figure | None:
    """Return Q of 0/1 errors of shape (questions, 2); None if one of the two is always or never wrong."""
    if not len(wrong) or (wrong == wrong[0]).all(axis=0).any():
        return None
    one, two = wrong.T
    cells = np.column_stack([one * two, one * (1 - two), (1 - one) * two, (1 - one) * (1 - two)])
    total = cells.sum(axis=0)
    variance, errors = float((1 / (total + 0.5)).sum()), critical(level)
    if codes is not None:
        by_cluster = summed(cells, codes)
        sums = by_cluster.sums[by_cluster.sizes[:, 0] > 0]
        variance = max(_jackknife(_log_odds_ratio(total - sums)), LEAST_EFFECT * variance)
        errors = critical(level, max(1, len(sums) - 1))
    log_odds = float(_log_odds_ratio(total[None])[0])
    ends = np.array([log_odds, log_odds - errors * np.sqrt(variance), log_odds + errors * np.sqrt(variance)])
    return Figure(*np.tanh(ends / 2).tolist())


def _log_odds_ratio(tables: Floats) -> Floats:
    cells = np.log(tables + 0.5)
    ratios: Floats = cells[:, 0] + cells[:, 3] - cells[:, 1] - cells[:, 2]
    return ratios


def _jackknife(without: Floats) -> float:
    """Return the variance from the values without one cluster each."""
    return float((1 - 1 / len(without)) * ((without - without.mean()) ** 2).sum())
