"""How many independent questions with 0/1 scores say as much as the given ones: fractional scores more, clusters less.

Intervals for 0/1 scores are used with this number (for clusters: Dean and Pagano 2015, doi:10.1093/jssam/smv024, and
Franco et al. 2019, doi:10.1093/jssam/smy019). Both factors are kept from 0, so that questions which happen to score
the same do not seem certain.
"""

from __future__ import annotations

from math import inf

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from moa_mcp.evaluation.statistics.arrays import Floats, summed

LEAST_EFFECT = 0.5
"""A smaller design effect than this is taken for chance."""
_ROUNDING = 1e-20
"""A smaller variance is that of equal values, which differ by rounding."""


class Evidence(Struct, frozen=True):
    """What a mean over questions rests on."""

    questions: int
    clusters: int
    variance_ratio: float
    """Variance of the values to that of 0/1 values with the same mean; 1 for these, mostly less for fractional ones."""
    design_effect: float
    """Variance of the mean to that for independent questions: 1 without clusters, mostly more with them."""
    freedom: float
    """Degrees of freedom of the variance; infinite if it follows from the mean or from many independent questions."""

    @property
    def effective(self) -> float:
        """How many independent questions with 0/1 scores would say as much."""
        return self.questions / (self.variance_ratio * self.design_effect)


def evidence(
    values: Floats, codes: NDArray[np.intp] | None, binary_variance: float, *, least_variance: float = 0.0
) -> Evidence:
    """Return what the mean of values of shape (questions,), at least one, rests on.

    `codes` are the clusters, None without any. `binary_variance` is what the variance of 0/1 values would be.
    A variance of less than `least_variance` is taken for chance.
    """
    ratio = _variance_ratio(values, binary_variance, least_variance)
    if codes is None:
        return Evidence(len(values), len(values), ratio, 1.0, inf)
    by_cluster = summed(values[:, None], codes)
    filled = by_cluster.sizes[:, 0] > 0
    sums, sizes = by_cluster.sums[filled, 0], by_cluster.sizes[filled, 0]
    return Evidence(len(values), len(sums), ratio, _design_effect(values, sums, sizes), max(1.0, len(sums) - 1))


def _variance_ratio(values: Floats, binary_variance: float, least_variance: float) -> float:
    """Return the ratio as if two more questions had the variance of 0/1 values."""
    if binary_variance <= 0:
        return 1.0
    variance = max(float(values.var()), least_variance)
    return (len(values) * variance / binary_variance + 2) / (len(values) + 2)


def _design_effect(values: Floats, sums: Floats, sizes: Floats) -> float:
    """Return it from the jackknife over clusters; the mean size of a cluster where this says nothing.

    The jackknife's variance is the most careful one for few clusters (MacKinnon, Nielsen and Webb 2023,
    doi:10.1002/jae.2969).
    """
    clusters, questions, variance = len(sums), len(values), float(values.var())
    if clusters < 2 or variance < _ROUNDING:  # noqa: PLR2004
        return questions / clusters
    without = (sums.sum() - sums) / (questions - sizes)
    jackknife = (clusters - 1) / clusters * float(((without - without.mean()) ** 2).sum())
    return max(jackknife / (variance / (questions - 1)), LEAST_EFFECT)
