"""Pairwise verdicts of a judge on a contestant A against B, both orders: win rate, position bias, consistency.

A judge that sees two answers favours a place (Zheng et al. 2023, arXiv:2306.05685), so each pair is judged with A first
and with A second.
"""

from __future__ import annotations

from collections.abc import Sequence

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
)
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.intervals import mean_score
from moa_mcp.evaluation.statistics.lengths import LengthControl, NotControlled, length_controlled
from moa_mcp.evaluation.statistics.paired import paired_gain


class Preference(Struct, frozen=True):
    """What a judge says of contestant A against B."""

    pairs: int
    """Questions with a readable verdict in both orders. All figures are about these."""
    unreadable: int
    """Questions with an unreadable verdict in one order or both."""
    win_rate: Figure
    """How often A is preferred, ties as half, from 0 to 1."""
    won: int
    """Questions on which A is preferred over both orders together."""
    lost: int
    tied: int
    """Questions with a tie in both orders, or with opposite verdicts."""
    tied_verdicts: int
    """Verdicts that are a tie, of two for each pair."""
    position_bias: Figure
    """How much more often than half the first place wins, from -0.5 to 0.5."""
    consistency: Figure
    """How often both orders have the same verdict, from 0 to 1."""
    length_controlled: LengthControl | NotControlled
    """The win rate for answers of the same length, or why it can't be estimated."""


def preference(
    a_first: Sequence[float | None],
    b_first: Sequence[float | None],
    length_differences: ArrayLike,
    clusters: Clusters = None,
    *,
    level: float = 0.95,
) -> Preference:
    """Return what verdicts say, one of each order for each question, in the same order.

    A verdict is 1 if A is preferred, 0 if B is, 0.5 for a tie, None if it can't be read, also with B first. A length
    difference is the length of A's answer minus that of B's, in any unit.

    Raises:
        ValueError: a verdict, the level or the number of values is wrong.

    """
    ab, ba = _verdicts(a_first), _verdicts(b_first)
    longer = np.asarray(length_differences, dtype=np.float64)
    questions, level = same_length(ab, ba, longer), checked_level(level)
    codes = cluster_codes(clusters, questions)
    read = ~np.isnan(ab + ba)
    ab, ba, longer, codes = ab[read], ba[read], longer[read], codes[read]
    labels = None if clusters is None else codes.tolist()
    rates = (ab + ba) / 2
    return Preference(
        len(ab),
        questions - len(ab),
        mean_score(rates, labels, level=level).mean,
        int((rates > 0.5).sum()),  # noqa: PLR2004
        int((rates < 0.5).sum()),  # noqa: PLR2004
        int((rates == 0.5).sum()),  # noqa: PLR2004
        int((ab == 0.5).sum() + (ba == 0.5).sum()),  # noqa: PLR2004
        paired_gain(ab, ba, labels, level=level).mean.mapped(scale=0.5),
        mean_score(np.where(ab == ba, 1.0, 0.0), labels, level=level).mean,
        length_controlled(ab, ba, longer, codes, level=level),
    )


def _verdicts(given: Sequence[float | None]) -> Floats:
    verdicts = checked_scores([np.nan if each is None else each for each in given])
    if not np.isin(verdicts[~np.isnan(verdicts)], (0.0, 0.5, 1.0)).all():
        raise ValueError("a verdict is not 1 (A preferred), 0 (B preferred), 0.5 (tie) or None (unreadable)")
    return verdicts
