"""The mean of paired differences by cluster, with its standard error and interval.

Two clusters are added, which differ by the usual amount, one to each side. For 0/1 scores of independent questions
this is the adjusted Wald interval of Bonett and Price (2012, doi:10.3102/1076998611411915), which has a width also
where no question differs. The standard error is the jackknife's over clusters (MacKinnon, Nielsen and Webb 2023,
doi:10.1002/jae.2969).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moa_mcp.evaluation.statistics.arrays import Floats, summed
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.quantiles import critical_t


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """Differences from -1 to 1, summed by cluster."""

    sums: Floats
    """One for each cluster that has a question."""
    sizes: Floats
    """How many questions each of them has."""

    @classmethod
    def of(cls, differences: Floats, codes: NDArray[np.intp]) -> MeanDifference:
        """Sum the differences of questions, NaN where there is none."""
        by_cluster = summed(differences[:, None], codes)
        filled = by_cluster.sizes[:, 0] > 0
        return cls(by_cluster.sums[filled, 0], by_cluster.sizes[filled, 0])

    @property
    def clusters(self) -> int:
        """How many clusters have a question."""
        return len(self.sums)

    @property
    def mean(self) -> float:
        """The mean over questions; NaN without any."""
        return float(self.sums.sum() / self.sizes.sum()) if self.clusters else float("nan")

    def figure(self, level: float) -> Figure:
        """Return the mean with its interval: all from -1 to 1 if there are fewer than two clusters."""
        if self.clusters < 2:  # noqa: PLR2004
            return Figure(self.mean, -1.0, 1.0)
        return self.within(critical_t(level, self.clusters - 1))

    def within(self, critical: float) -> Figure:
        """Return the mean with an interval of this many standard errors to each side."""
        centre, error = self._adjusted()
        low, high = centre - critical * error, centre + critical * error
        return Figure(self.mean, max(-1.0, min(low, self.mean)), min(1.0, max(high, self.mean)))

    def design_effect(self, differences: Floats) -> float:
        """Return how much larger the variance of the mean is than without clusters; at least 1."""
        if self.clusters < 2 or not differences.var():  # noqa: PLR2004
            return 1.0
        spread = ((self.sums - self.mean * self.sizes) ** 2).sum() * self.clusters / (self.clusters - 1)
        return max(1.0, float(spread / (len(differences) * differences.var(ddof=1))))

    def _adjusted(self) -> tuple[float, float]:
        """Return the mean and its standard error with two more clusters."""
        size = self.sizes.mean()
        apart = size * self._usual()
        sums, sizes = np.append(self.sums, [apart, -apart]), np.append(self.sizes, [size, size])
        without = (sums.sum() - sums) / (sizes.sum() - sizes)
        spread = (1 - 1 / len(sums)) * ((without - without.mean()) ** 2).sum()
        return float(sums.sum() / sizes.sum()), float(np.sqrt(spread))

    def _usual(self) -> float:
        """Return how much clusters that differ usually differ, for each of their questions; 1 if none does."""
        differ = self.sums != 0
        if not differ.any():
            return 1.0
        return float(np.sqrt((self.sums[differ] ** 2).sum() / (self.sizes[differ] ** 2).sum()))
