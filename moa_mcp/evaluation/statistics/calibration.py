"""How often the most frequent value is right, by how many of the samples agree on it."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from moa_mcp.evaluation.statistics.arrays import Clusters, checked_scores, cluster_codes, same_length
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.intervals import mean_score


class AgreementLevel(Struct, frozen=True):
    """Questions with one level of agreement."""

    agreement: float
    """Share of the samples that have the most frequent value, above 0, at most 1."""
    questions: int
    right: float
    """The sum of their scores: how many are right for 0/1 scores."""
    accuracy: Figure
    """`right` / `questions` with its interval."""
    monotone: float
    """The accuracy of a fit that never falls with more agreement (isotonic regression)."""


class Calibration(Struct, frozen=True):
    """Agreement against accuracy on labelled questions."""

    levels: tuple[AgreementLevel, ...]
    """By agreement, ascending."""
    expected_error: float
    """Mean distance between agreement and accuracy over questions (Guo et al. 2017, arXiv:1706.04599); NaN without
    questions."""


def agreement_calibration(
    agreement: ArrayLike, scores: ArrayLike, clusters: Clusters = None, *, level: float = 0.95
) -> Calibration:
    """Return how agreement of 0 to 1 and the score of the most frequent value go together, one of each per question.

    Raises:
        ValueError: a value, the level or the number of cluster labels is wrong.

    """
    agreed, checked = checked_scores(agreement), checked_scores(scores)
    labels = cluster_codes(clusters, same_length(agreed, checked))
    known = ~np.isnan(agreed + checked)
    agreed, checked, labels = agreed[known], checked[known], labels[known]
    found = np.unique(agreed.round(9))
    at = [np.isclose(agreed, each, atol=1e-8) for each in found]
    means = [mean_score(checked[here], None if clusters is None else labels[here].tolist(), level=level) for here in at]
    sizes = np.array([each.questions for each in means], dtype=np.float64)
    accuracy = np.array([each.mean.value for each in means])
    monotone = isotonic_regression(accuracy, weights=sizes).x if means else accuracy
    levels = tuple(
        AgreementLevel(float(each), mean.questions, float(checked[here].sum()), mean.mean, float(fit))
        for each, here, mean, fit in zip(found, at, means, monotone, strict=True)
    )
    error = float((np.abs(found - accuracy) * sizes).sum() / sizes.sum()) if levels else float("nan")
    return Calibration(levels, error)
