"""How much better one contestant is than another on the same questions.

The interval is Tango's (1998) for the effective number of questions. For 0/1 scores of independent questions it is
Tango's interval itself.
"""

from __future__ import annotations

from math import inf
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from moa_mcp.evaluation.statistics.arrays import (
    Clusters,
    Floats,
    checked_level,
    checked_scores,
    cluster_codes,
    same_length,
    summed,
)
from moa_mcp.evaluation.statistics.evidence import Evidence, evidence
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.quantiles import critical
from moa_mcp.evaluation.statistics.sign_flips import sign_flip_p
from moa_mcp.evaluation.statistics.tango import tango

Test = Literal["mcnemar", "sign_flip"]
_TESTS: tuple[Test, Test] = ("sign_flip", "mcnemar")


class PairedGain(Struct, frozen=True):
    """The gain of a first contestant over a second one."""

    mean: Figure
    """The mean difference of their scores, from -1 to 1; NaN, from -1 to 1, without a common question."""
    questions: int
    """How many have a score of both."""
    clusters: int
    """How many clusters these are in; the number of questions without clusters."""
    won: int
    """Questions on which the first has the higher score."""
    lost: int
    tied: int
    p_value: float
    """Two-sided, for "neither is better": McNemar's exact test (1947) for 0/1 scores of independent questions, else a
    sign-flip permutation test by cluster. 1 if no question differs."""
    test: Test


def paired_gain(
    first: ArrayLike, second: ArrayLike, clusters: Clusters = None, *, level: float = 0.95, seed: int = 0
) -> PairedGain:
    """Return the gain of `first` over `second`: scores from 0 to 1, one for each question, in the same order.

    Questions where one has NaN are left out. The gain of `second` over `first` is the same with the opposite sign.

    Raises:
        ValueError: scores, the level or the number of cluster labels are wrong.

    """
    return Differences.between(first, second, clusters).gain(checked_level(level), seed=seed)


class Differences(Struct, frozen=True):
    """Differences of scores by question, from -1 to 1."""

    values: Floats
    """Shape (questions,), NaN where one has no score."""
    codes: NDArray[np.intp] | None
    """The numbers of the clusters; None without clusters."""
    chance: Floats
    """Shape (questions,): the variance of a difference by chance alone, where a single answer is compared with the mean
    of several; 0 elsewhere. Losses that have a small probability may not have occurred, so that the differences seem
    to vary less than they do."""

    @classmethod
    def between(cls, first: ArrayLike, second: ArrayLike, clusters: Clusters = None) -> Differences:
        """Subtract the scores of a second contestant from those of a first one."""
        one, two = checked_scores(first), checked_scores(second)
        questions = same_length(one, two)
        codes = None if clusters is None else cluster_codes(clusters, questions)
        return cls(one - two, codes, _chance(one, two))

    @property
    def known(self) -> Floats:
        """Those of questions that have both scores."""
        return self.values[~np.isnan(self.values)]

    @property
    def evidence(self) -> Evidence:
        """What their mean rests on."""
        known = self.known
        if not known.size:
            return Evidence(0, 0, 1.0, 1.0, inf)
        codes = None if self.codes is None else self.codes[~np.isnan(self.values)]
        binary = float(np.abs(known).mean() - known.mean() ** 2)
        return evidence(known, codes, binary, least_variance=self.known_chance)

    @property
    def known_chance(self) -> float:
        """The mean of `chance` over questions that have both scores."""
        known = self.chance[~np.isnan(self.values)]
        return float(known.mean()) if known.size else 0.0

    @property
    def sums(self) -> Floats:
        """Their sums, one for each cluster; the differences themselves without clusters."""
        return self._summed(np.nan_to_num(self.values))

    @property
    def centred_sums(self) -> Floats:
        """The same after the mean is subtracted from each difference."""
        return self._summed(np.nan_to_num(self.values - self.known.mean())) if self.known.size else self.sums

    def _summed(self, values: Floats) -> Floats:
        return values if self.codes is None else summed(values[:, None], self.codes).sums[:, 0]

    def figure(self, level: float) -> Figure:
        """Return their mean with its interval."""
        known, found = self.known, self.evidence
        if not known.size:
            return Figure(np.nan, -1.0, 1.0)
        mean = float(known.mean())
        won, lost = (found.effective * float(np.maximum(side, 0).mean()) for side in (known, -known))
        low, high = tango(won, lost, found.effective, critical(level, found.freedom))
        return Figure(mean, min(low, mean), max(high, mean))

    def gain(self, level: float, *, seed: int) -> PairedGain:
        """Return their mean with its interval, counts and p value."""
        known, found = self.known, self.evidence
        won, lost = int((known > 0).sum()), int((known < 0).sum())
        exact = self.codes is None and bool(np.isin(known, (-1.0, 0.0, 1.0)).all())
        p_value = mcnemar_p(won, lost) if exact else sign_flip_p(self.sums, seed=seed)
        tied, test = len(known) - won - lost, _TESTS[exact]
        return PairedGain(self.figure(level), found.questions, found.clusters, won, lost, tied, p_value, test)


def _chance(one: Floats, two: Floats) -> Floats:
    """Return the variance of a single 0/1 answer that is right as often as the mean of several."""
    single = [bool(np.isin(each[~np.isnan(each)], (0.0, 1.0)).all()) for each in (one, two)]
    if single[0] == single[1]:
        return np.zeros(len(one))
    mean = two if single[0] else one
    return mean * (1 - mean)


def mcnemar_p(won: int, lost: int) -> float:
    """Return the two-sided p value of McNemar's exact test: a binomial test of the questions that differ."""
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
