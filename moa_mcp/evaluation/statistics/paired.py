"""How much better one contestant is than another on the same questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from moa_mcp.evaluation.statistics.arrays import (
    Clusters,
    Floats,
    checked_level,
    checked_scores,
    cluster_codes,
    same_length,
)
from moa_mcp.evaluation.statistics.differences import MeanDifference
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.intervals import is_binary
from moa_mcp.evaluation.statistics.sign_flips import sign_flip_p

Test = Literal["mcnemar", "sign_flip"]


@dataclass(frozen=True, slots=True)
class PairedGain:
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
    one, two = checked_scores(first), checked_scores(second)
    questions = same_length(one, two)
    difference = MeanDifference.of(one - two, cluster_codes(clusters, questions))
    return described(difference, one - two, clusters, mean=difference.figure(checked_level(level)), seed=seed)


def described(
    difference: MeanDifference, differences: Floats, clusters: Clusters, *, mean: Figure, seed: int
) -> PairedGain:
    """Return a gain with its interval, counts and p value."""
    known = differences[~np.isnan(differences)]
    won, lost = int((known > 0).sum()), int((known < 0).sum())
    exact = clusters is None and is_binary(np.abs(known))
    p_value = mcnemar_p(won, lost) if exact else sign_flip_p(difference.sums, seed=seed)
    return PairedGain(
        mean,
        len(known),
        difference.clusters,
        won,
        lost,
        len(known) - won - lost,
        p_value,
        "mcnemar" if exact else "sign_flip",
    )


def mcnemar_p(won: int, lost: int) -> float:
    """Return the two-sided p value of McNemar's exact test: a binomial test of the questions that differ."""
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
