"""How far the errors of members go together, what an oracle could make of them, and what an aggregator does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moa_mcp.evaluation.statistics.arrays import (
    Clusters,
    Floats,
    checked_level,
    checked_scores,
    cluster_codes,
    divided,
    same_length,
    summed,
)
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.intervals import mean_score
from moa_mcp.evaluation.statistics.resampling import bootstrapped

LEAST_HEADROOM = 0.01
"""How much better than the mean member the oracle must be for an aggregator's efficiency, as a difference of scores."""


@dataclass(frozen=True, slots=True)
class JointErrors:
    """The errors of two members on the same questions."""

    first: str
    second: str
    questions: int
    """How many have a score of both."""
    both_wrong: Figure
    """Share of the questions on which both are wrong."""
    if_independent: float
    """The same share if their errors were independent."""
    phi: Figure | None
    """Correlation of their errors, from -1 to 1. None if a member is always right or always wrong."""
    only_first_right: int
    only_second_right: int


def joint_errors(
    scores: Mapping[str, ArrayLike], clusters: Clusters = None, *, level: float = 0.95, seed: int = 0
) -> tuple[JointErrors, ...]:
    """Return how errors go together, for each two members with 0/1 scores by name.

    Raises:
        ValueError: a score is neither 0, 1 nor NaN, or the number of values is wrong.

    """
    checked = {name: checked_scores(each) for name, each in scores.items()}
    questions = same_length(*checked.values()) if checked else 0
    if not all(np.isin(each[~np.isnan(each)], (0.0, 1.0)).all() for each in checked.values()):
        raise ValueError("a score is neither 0 nor 1; errors go together only where an answer is right or wrong")
    codes, level = cluster_codes(clusters, questions), checked_level(level)
    pairs = ((names, np.column_stack([checked[name] for name in names])) for names in combinations(checked, 2))
    return tuple(_joint(*names, scores, codes, clusters is not None, level, seed) for names, scores in pairs)


def _joint(
    first: str, second: str, scores: Floats, codes: NDArray[np.intp], clustered: bool, level: float, seed: int
) -> JointErrors:
    known = ~np.isnan(scores).any(axis=1)
    wrong = 1 - scores[known]
    both = wrong.prod(axis=1)
    cells = summed(np.column_stack([both, wrong, np.ones(len(wrong))]), codes[known]).sums
    share = wrong.mean(axis=0) if len(wrong) else np.full(2, np.nan)
    phi = bootstrapped(cells, _phi, level=level, seed=seed) if ((share > 0) & (share < 1)).all() else None
    return JointErrors(
        first,
        second,
        len(wrong),
        mean_score(both, codes[known].tolist() if clustered else None, level=level).mean,
        float(share.prod()),
        phi,
        int((wrong[:, 1] > wrong[:, 0]).sum()),
        int((wrong[:, 0] > wrong[:, 1]).sum()),
    )


def _phi(totals: Floats) -> Floats:
    """Return the correlation from totals of (both wrong, first wrong, second wrong, questions)."""
    both, one, two = (totals[:, :3] / totals[:, 3:]).T
    variance = one * (1 - one) * two * (1 - two)
    return divided(both - one * two, np.sqrt(variance))


def oracle_rate(members: Sequence[ArrayLike], clusters: Clusters = None, *, level: float = 0.95) -> Figure:
    """Return the mean of the best member's score on each question: for 0/1 scores, how often some member is right.

    Raises:
        ValueError: a score, the level or the number of values is wrong, or there are no members.

    """
    return mean_score(_matrix(members).max(axis=0), clusters, level=level).mean


def aggregator_efficiency(
    aggregate: ArrayLike, members: Sequence[ArrayLike], clusters: Clusters = None, *, level: float = 0.95, seed: int = 0
) -> Figure | None:
    """Return how much of the way from the mean member to the oracle an aggregator goes.

    It is (aggregate - mean member) / (oracle - mean member): 0 for the mean member, 1 for the oracle, below 0 if it is
    worse than the mean member. None if the oracle is hardly better than the mean member.

    Raises:
        ValueError: a score, the level or the number of values is wrong, or there are no members.

    """
    matrix, made = _matrix(members), checked_scores(aggregate)
    questions = same_length(made, matrix[0])
    columns = np.column_stack([made - matrix.mean(axis=0), matrix.max(axis=0) - matrix.mean(axis=0)])
    known = ~np.isnan(columns).any(axis=1)
    if columns[known, 1].sum() < LEAST_HEADROOM * max(1, known.sum()):
        return None
    sums = summed(columns[known], cluster_codes(clusters, questions)[known]).sums
    return bootstrapped(sums, _ratio, level=checked_level(level), seed=seed)


def _ratio(totals: Floats) -> Floats:
    return divided(totals[:, 0], totals[:, 1])


def _matrix(members: Sequence[ArrayLike]) -> Floats:
    if not members:
        raise ValueError("there are no members; expected the scores of at least one")
    checked = [checked_scores(each) for each in members]
    same_length(*checked)
    return np.stack(checked)
