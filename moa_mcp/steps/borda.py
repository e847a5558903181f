"""Merges the rankings of reviewers who rank different answers, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias

UNRANKED = 0.5
"""Points of an answer that no ballot ranks: the middle."""

Ballot: TypeAlias = Sequence[int]
"""Positions of the answers that a reviewer ranked, from 0, best first."""


class Score(NamedTuple):
    """The points of one answer."""

    position: int
    points: float
    ballots: int
    """Number of ballots that rank it."""
    firsts: int
    """Number of ballots that rank it first."""


class Merged(NamedTuple):
    """The merged ranking."""

    scores: tuple[Score, ...]
    """All answers, best first."""
    tied: tuple[tuple[int, ...], ...]
    """Positions of answers with equal points and equally many first places: they stay in order."""


def merged(ballots: Sequence[Ballot], count: int) -> Merged:
    """Merge rankings of some of the positions 0 to `count` - 1.

    A Borda count (Borda 1781), normalised because reviewers leave out their own answers. Of k ranked answers, the one
    at place p (the best is 1) gets (k - p) / (k - 1) points from a ballot, so 1 for the first and 0 for the last. The
    points of an answer are the mean over the ballots that rank it. Ties are broken by the share of first places, then
    by position.
    """
    scores = sorted((_score(position, ballots) for position in range(count)), key=_order)
    tied = (tuple(score.position for score in same) for _, same in groupby(scores, _merit))
    return Merged(tuple(scores), tuple(positions for positions in tied if len(positions) > 1))


def _score(position: int, ballots: Sequence[Ballot]) -> Score:
    places = [(ballot.index(position), len(ballot)) for ballot in ballots if position in ballot]
    points = sum((ranked - 1 - place) / (ranked - 1) for place, ranked in places)
    # rounded, so that the order of the ballots can't break a tie
    mean = round(points / len(places), 9) if places else UNRANKED
    return Score(position, mean, len(places), sum(place == 0 for place, _ in places))


def _merit(score: Score) -> tuple[float, float]:
    return -score.points, -(score.firsts / score.ballots if score.ballots else 0.0)


def _order(score: Score) -> tuple[float, float, int]:
    return (*_merit(score), score.position)
