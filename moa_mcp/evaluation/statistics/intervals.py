"""The mean score of one contestant with its interval.

For 0/1 scores of independent questions it is Wilson's interval (1927). For fractional scores and for clusters it is
Wilson's interval for an effective number of questions (Dean and Pagano 2015, doi:10.1093/jssam/smv024), so it stays
within 0 and 1, and has a width even where all scores are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.stats.proportion import proportion_confint

from moa_mcp.evaluation.statistics.arrays import (
    Clusters,
    ClusterSums,
    Floats,
    checked_level,
    checked_scores,
    cluster_codes,
    summed,
)
from moa_mcp.evaluation.statistics.figures import Figure


@dataclass(frozen=True, slots=True)
class MeanScore:
    """The mean score of one contestant."""

    mean: Figure
    """From 0 to 1; NaN, from 0 to 1, if no question has a score."""
    questions: int
    """How many have a score."""
    clusters: int
    """How many clusters these are in; the number of questions without clusters."""


def mean_score(scores: ArrayLike, clusters: Clusters = None, *, level: float = 0.95) -> MeanScore:
    """Return the mean of scores from 0 to 1, one for each question, with its interval.

    A question's score may be the mean over several samples. NaN is a question without a score, which is left out.

    Raises:
        ValueError: a score, the level or the number of cluster labels is wrong.

    """
    checked, level = checked_scores(scores), checked_level(level)
    codes = cluster_codes(clusters, len(checked))
    known = checked[~np.isnan(checked)]
    if not known.size:
        return MeanScore(Figure(np.nan, 0.0, 1.0), 0, 0)
    by_cluster = summed(checked[:, None], codes)
    effective = float(len(known)) if clusters is None and is_binary(known) else effective_questions(by_cluster)
    groups = int(by_cluster.filled[0])
    return MeanScore(wilson(float(known.mean()), effective, level), len(known), groups)


def is_binary(scores: Floats) -> bool:
    """Whether all scores are 0 or 1."""
    return bool(np.isin(scores, (0.0, 1.0)).all())


def wilson(share: float, questions: float, level: float = 0.95) -> Figure:
    """Return a share with Wilson's interval for it; `questions` may be a fraction."""
    low, high = proportion_confint(share * questions, questions, alpha=1 - level, method="wilson")
    return Figure(share, max(0.0, min(low, share)), min(1.0, max(high, share)))


def effective_questions(by_cluster: ClusterSums) -> float:
    """Return how many independent questions with 0/1 scores would give a mean of the same variance."""
    sums, sizes = by_cluster.sums[:, 0], by_cluster.sizes[:, 0]
    total, groups = sizes.sum(), int(by_cluster.filled[0])
    mean = sums.sum() / total
    spread = float(((sums - mean * sizes) ** 2).sum())
    if groups < 2 or spread == 0:  # noqa: PLR2004
        return float(groups)
    variance = spread / total**2 * groups / (groups - 1)
    return float(mean * (1 - mean) / variance)
