"""How far the errors of members go together, and what an oracle and an aggregator make of their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from moa_mcp.evaluation.statistics.arrays import (
    Clusters,
    Floats,
    checked_level,
    checked_scores,
    cluster_codes,
    same_length,
    summed,
)
from moa_mcp.evaluation.statistics.association import yules_q
from moa_mcp.evaluation.statistics.fieller import ratio
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.intervals import mean_score


class JointErrors(Struct, frozen=True):
    """The errors of two members on the same questions."""

    first: str
    second: str
    questions: int
    """How many have a score of both."""
    only_first_right: int
    only_second_right: int
    both_wrong: Figure
    """Share of the questions on which both are wrong."""
    if_independent: float
    """The same share if their errors were independent; NaN without a common question."""
    association: Figure | None
    """Yule's Q (1900) of their errors, from -1 to 1: 0 if they are independent, 1 if one of them is wrong only where
    the other is wrong too. None if a member is always right or always wrong."""


def joint_errors(
    scores: Mapping[str, ArrayLike], clusters: Clusters = None, *, level: float = 0.95
) -> tuple[JointErrors, ...]:
    """Return how errors go together, for each two members with 0/1 scores by name.

    Raises:
        ValueError: a score is not 0, 1 or NaN, or the level or the number of values is wrong.

    """
    checked = {name: checked_scores(each) for name, each in scores.items()}
    if checked:
        same_length(*checked.values())
    if not all(np.isin(each[~np.isnan(each)], (0.0, 1.0)).all() for each in checked.values()):
        raise ValueError("a score is between 0 and 1; errors go together only where answers are right or wrong")
    return tuple(
        _joint(one, two, np.column_stack([checked[one], checked[two]]), clusters, checked_level(level))
        for one, two in combinations(checked, 2)
    )


def _joint(first: str, second: str, scores: Floats, clusters: Clusters, level: float) -> JointErrors:
    both_wrong = (1 - scores).prod(axis=1)
    known = ~np.isnan(both_wrong)
    wrong = 1 - scores[known]
    codes = None if clusters is None else cluster_codes(clusters, len(scores))[known]
    return JointErrors(
        first,
        second,
        len(wrong),
        int((wrong[:, 1] > wrong[:, 0]).sum()),
        int((wrong[:, 0] > wrong[:, 1]).sum()),
        mean_score(both_wrong, clusters, level=level).mean,
        float(wrong.mean(axis=0).prod()) if len(wrong) else float("nan"),
        yules_q(wrong, codes, level),
    )


def oracle_rate(members: Sequence[ArrayLike], clusters: Clusters = None, *, level: float = 0.95) -> Figure:
    """Return the mean of the best member's score on each question: for 0/1 scores, how often some member is right.

    Questions where a member has NaN are left out.

    Raises:
        ValueError: a score, the level or the number of values is wrong, or there are no members.

    """
    return mean_score(_stacked(members).max(axis=0), clusters, level=level).mean


def aggregator_efficiency(
    aggregate: ArrayLike, members: Sequence[ArrayLike], clusters: Clusters = None, *, level: float = 0.95
) -> Figure | None:
    """Return how much of the way from the mean member to the oracle an aggregator goes.

    It is (aggregate - mean member) / (oracle - mean member): 0 for the mean member, 1 for the oracle, below 0 if it is
    worse than the mean member. None if the oracle may be no better than the mean member. Questions with NaN are left
    out.

    Raises:
        ValueError: a score, the level or the number of values is wrong, or there are no members.

    """
    scores, made = _stacked(members), checked_scores(aggregate)
    codes = cluster_codes(clusters, same_length(made, scores[0]))
    gained, possible = made - scores.mean(axis=0), scores.max(axis=0) - scores.mean(axis=0)
    known = ~np.isnan(gained + possible)
    differ = possible[known & (possible > 0)]
    if not differ.size:
        return None
    sums = summed(np.column_stack([gained, possible])[known], codes[known])
    return ratio(sums.sums[sums.sizes[:, 0] > 0], float(differ.mean()), checked_level(level))


def _stacked(members: Sequence[ArrayLike]) -> Floats:
    checked = [checked_scores(each) for each in members]
    if not checked:
        raise ValueError("members is empty; expected the scores of at least one")
    same_length(*checked)
    return np.stack(checked)
