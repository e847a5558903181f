"""What gain a number of questions can detect, and how many questions a gain needs.

The sample size of McNemar's test (Connett, Smith and McHugh 1987, doi:10.1002/sim.4780060105), with the mean square of
the differences in place of the share of questions that differ, and a design effect for clusters.
"""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtri

from moa_mcp.evaluation.statistics.arrays import Clusters, checked_level
from moa_mcp.evaluation.statistics.paired import Differences
from moa_mcp.evaluation.statistics.quantiles import critical

_LEAST = 1e-6


class Detectable(Struct, frozen=True):
    """What a paired comparison of two contestants can detect."""

    questions: int
    """How many the comparison has."""
    square: float
    """Mean square of the differences. For 0/1 scores, the share of questions that differ."""
    usual: float
    """How much questions that differ usually differ. 1 for 0/1 scores."""
    design_effect: float
    """How many questions in clusters are worth as much as an independent one. 1 without clusters."""
    level: float
    """Of each comparison, corrected for their number."""
    power: float
    """The probability with which such a gain is found."""

    @property
    def gain(self) -> float | None:
        """The least gain that these questions detect, from 0 to 1. None if they would not even detect 1."""
        if self._excess(1.0) < 0:
            return None
        return float(brentq(self._excess, _LEAST, 1.0)) if self._excess(_LEAST) < 0 else _LEAST

    def needed(self, gain: float) -> int:
        """Return how many questions would detect this gain, in clusters of the same size.

        Raises:
            ValueError: the gain is not above 0 and at most 1.

        """
        if not 0 < gain <= 1:
            raise ValueError(f"gain is {gain:g}; expected a number above 0 and at most 1")
        return ceil(self._errors(gain) ** 2 / gain**2 * self.design_effect)

    def _excess(self, gain: float) -> float:
        return gain * sqrt(self.questions / self.design_effect) - self._errors(gain)

    def _errors(self, gain: float) -> float:
        square = max(self.square, self.usual * gain, gain**2)
        return critical(self.level) * sqrt(square) + float(ndtri(self.power)) * sqrt(square - gain**2)


def detectable(
    first: ArrayLike,
    second: ArrayLike,
    clusters: Clusters = None,
    *,
    level: float = 0.95,
    power: float = 0.8,
    comparisons: int = 1,
) -> Detectable:
    """Return what a comparison like this one can detect. `comparisons` is how many are made at once.

    Raises:
        ValueError: scores, the level, the power or the number of cluster labels are wrong.

    """
    differences = Differences.between(first, second, clusters)
    known = differences.known
    usual = float(np.sqrt((known[known != 0] ** 2).mean())) if known.any() else 1.0
    square = max(float((known**2).sum() + 2 * usual**2) / (len(known) + 2), differences.known_chance)
    corrected = 1 - (1 - checked_level(level)) / comparisons
    effect = max(1.0, differences.evidence.design_effect)
    return Detectable(len(known), square, usual, effect, corrected, checked_level(power))
