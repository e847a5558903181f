"""The ratio of two sums, such as a member's share of the cost, with a jackknife interval over groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from moa_mcp.evaluation.statistics.arrays import checked_level, same_length
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.quantiles import critical


def share_of_sum(parts: ArrayLike, totals: ArrayLike, *, level: float = 0.95) -> Figure:
    """Return the sum of `parts` divided by the sum of `totals`: one of each for each run, a part of the total.

    With fewer than two runs, the interval is all from 0 to 1.

    Raises:
        ValueError: the lengths differ, the level is wrong, or the totals sum up to 0.

    """
    part, total = np.asarray(parts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    runs = same_length(part, total)
    if not total.sum() > 0:
        raise ValueError("the totals sum up to 0, so that no share of them is defined")
    share = float(part.sum() / total.sum())
    left = total.sum() - total
    if runs < 2 or not (left > 0).all():  # noqa: PLR2004
        return Figure(share, 0.0, 1.0)
    without = (part.sum() - part) / left
    error = float(np.sqrt((1 - 1 / runs) * ((without - without.mean()) ** 2).sum()))
    errors = critical(checked_level(level), runs - 1)
    return Figure(share, max(0.0, share - errors * error), min(1.0, share + errors * error))
