"""The mean score of one contestant with its interval: Wilson's (1927) for the effective number of questions.

For 0/1 scores of independent questions it is Wilson's interval itself. It is always within 0 and 1, and has a width
even where all scores are equal.
"""

from __future__ import annotations

from math import inf

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import ndtr
from statsmodels.stats.proportion import proportion_confint

from moa_mcp.evaluation.statistics.arrays import Clusters, checked_level, checked_scores, cluster_codes
from moa_mcp.evaluation.statistics.evidence import evidence
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.quantiles import critical


class MeanScore(Struct, frozen=True):
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
    known = ~np.isnan(checked)
    codes = None if clusters is None else cluster_codes(clusters, len(checked))[known]
    if not known.any():
        return MeanScore(Figure(np.nan, 0.0, 1.0), 0, 0)
    mean = float(checked[known].mean())
    found = evidence(checked[known], codes, mean * (1 - mean))
    return MeanScore(wilson(mean, found.effective, level, found.freedom), found.questions, found.clusters)


def wilson(share: float, questions: float, level: float = 0.95, freedom: float = inf) -> Figure:
    """Return a share with Wilson's interval for it.

    `questions` may be an effective number, with `freedom` degrees of freedom.
    """
    alpha = 2 * float(ndtr(-critical(level, freedom)))
    low, high = proportion_confint(share * questions, questions, alpha=alpha, method="wilson")
    return Figure(share, max(0.0, min(low, share)), min(1.0, max(high, share)))
