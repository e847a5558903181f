"""The win rate that a judge would give answers of the same length, from a regression.

The idea is that of length-controlled AlpacaEval (Dubois et al. 2024, arXiv:2404.04475): a logistic regression of
verdicts on tanh(length difference / its standard deviation), predicted at a difference of 0. Here it is without
regularization, with the place of the answers, and its standard errors are robust for the verdicts of one question or
cluster.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.special import expit, logit
from statsmodels.genmod.families.family import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from moa_mcp.evaluation.statistics.arrays import Floats
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.quantiles import critical

LEAST_CLUSTERS = 10
LEAST_VERDICTS = 5
"""For each side."""
LEAST_SPREAD = 0.1
"""Standard deviation of tanh(length difference / standard deviation); less where one side is always much longer."""
SEPARATED = 10.0
"""Log-odds that only a fit without end reaches."""

Reason = Literal["too few pairs", "one side is hardly preferred", "lengths hardly vary", "verdicts are separated"]
"""Pairs are too few if they, or their clusters, are fewer than 10. Verdicts are separated if length or place alone
determines all of them, so that the coefficients grow without end."""


class LengthControl(Struct, frozen=True):
    """A win rate without the effect of length, and that effect."""

    win_rate: Figure
    """How often A would be preferred if its answers were as long as B's, from 0 to 1, over both orders."""
    coefficient: Figure
    """Log-odds for a longer answer by one unit of tanh(length difference / standard deviation)."""
    extrapolated: bool
    """Whether one contestant's answers are always longer, so that no pair is near a length difference of 0."""

    @property
    def favours(self) -> Literal["longer", "shorter", "neither"]:
        """Which answers the judge favours: neither if the interval of the coefficient has 0."""
        if not self.coefficient.excludes(0.0):
            return "neither"
        return "longer" if self.coefficient.low > 0 else "shorter"


class NotControlled(Struct, frozen=True):
    """Why there is no length-controlled win rate."""

    reason: Reason


def length_controlled(
    a_first: Floats, b_first: Floats, length_differences: Floats, codes: NDArray[np.intp], *, level: float = 0.95
) -> LengthControl | NotControlled:
    """Return the length-controlled win rate of A, or why there is none.

    All arrays have the shape (pairs,). Verdicts are 1 if A is preferred, 0 if B is, 0.5 for a tie. `codes` are the
    numbers of the clusters of the pairs.
    """
    verdicts = np.concatenate([a_first, b_first])
    if len(np.unique(codes)) < LEAST_CLUSTERS:
        return NotControlled("too few pairs")
    if min((verdicts == 1).sum(), (verdicts == 0).sum()) < LEAST_VERDICTS:
        return NotControlled("one side is hardly preferred")
    longer = np.tanh(length_differences / (length_differences.std() or 1.0))
    if longer.std() < LEAST_SPREAD:
        return NotControlled("lengths hardly vary")
    design = np.column_stack([np.ones(2 * len(longer)), np.tile(longer, 2), np.repeat([0.5, -0.5], len(longer))])
    fit = _fitted(verdicts, design, np.tile(codes, 2))
    if fit is None:
        return NotControlled("verdicts are separated")
    coefficients, covariance = fit
    errors = critical(level, len(np.unique(codes)) - 1)
    taste, error = float(coefficients[1]), errors * float(np.sqrt(covariance[1, 1]))
    one_sided = bool((length_differences > 0).all() or (length_differences < 0).all())
    predicted = _predicted(coefficients, covariance, errors)
    return LengthControl(predicted, Figure(taste, taste - error, taste + error), one_sided)


def _fitted(verdicts: Floats, design: Floats, groups: NDArray[np.intp]) -> tuple[Floats, Floats] | None:
    """Return coefficients and their covariance, robust for groups; None if they grow without end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of separation, which the result shows
        try:
            fit = GLM(verdicts, design, family=Binomial()).fit(cov_type="cluster", cov_kwds={"groups": groups})
        except LinAlgError:
            return None
    coefficients, covariance = np.asarray(fit.params), np.asarray(fit.cov_params())
    separated = not np.isfinite(covariance).all() or np.abs(coefficients).max() > SEPARATED
    return None if separated else (coefficients, covariance)


def _predicted(coefficients: Floats, covariance: Floats, errors: float) -> Figure:
    """Return the win rate at the same length, the mean over both orders; its interval is symmetric in log-odds."""
    log_odds: Floats = coefficients[0] + np.array([0.5, -0.5]) * coefficients[2]
    rates = expit(log_odds)
    slopes = rates * (1 - rates)
    rate = float(rates.mean())
    gradient = np.array([slopes.mean(), 0.0, (slopes[0] - slopes[1]) / 4]) / (rate * (1 - rate))
    error = errors * float(np.sqrt(gradient @ covariance @ gradient))
    return Figure(rate, float(expit(logit(rate) - error)), float(expit(logit(rate) + error)))
