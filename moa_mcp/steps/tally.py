"""Counts votes and merges rankings, without a model.

The votes are values from `extraction`, or the numbers of the answers that a judge chose.
Majority over extracted answers is self-consistency (Wang et al. 2022, arXiv 2203.11171); weights by the confidences
that the answers state are confidence-informed self-consistency (Taubenfeld et al. 2025, arXiv 2502.06233); merging the
rankings of several orders, here by Borda count, is permutation self-consistency (Tang et al. 2023, arXiv 2310.07712).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import exp
from typing import NamedTuple

from moa_mcp.values import Tally, Votes

_ROUNDING = 1e-9


class Lead(NamedTuple):
    """The value with the most votes so far."""

    value: str
    by: int
    """Its lead over the second value, in votes; 0 for a tie or if there are no votes."""


def lead(values: Iterable[str | None]) -> Lead:
    """Return the value with the most votes and its lead. None counts as an abstention."""
    first, second = [*Counter(value for value in values if value is not None).most_common(2), ("", 0), ("", 0)][:2]
    return Lead(first[0], first[1] - second[1])


class Majority(NamedTuple):
    """The result of a majority vote. Positions count from 0."""

    winner: int
    """Position of the first vote for the winning value."""
    tied: tuple[str, ...]
    """Other values with the same number of votes. The winning value was given first."""
    abstained: tuple[int, ...]
    """Positions of the abstentions."""
    tally: Tally

    @property
    def value(self) -> str:
        """The winning value."""
        return self.tally.values[0].value

    @property
    def votes(self) -> int:
        """Votes for the winning value."""
        return self.tally.values[0].votes

    @property
    def weight(self) -> float | None:
        """The share of the winning value in the weights of all votes; None if they have none."""
        return self.tally.values[0].weight

    @property
    def has_majority(self) -> bool:
        """Whether more than half of the readable votes, or of their weight, are for the winning value."""
        return (self.votes / self.readable if self.weight is None else self.weight) > 1 / 2 + _ROUNDING

    @property
    def readable(self) -> int:
        """Number of votes without the abstentions."""
        return sum(each.votes for each in self.tally.values)


def majority(
    values: Sequence[str | None], weights: Sequence[float] | None = None, *, of_answers: bool = True
) -> Majority | None:
    """Return the result of a majority vote; None if all votes are abstentions.

    The votes are the values `of_answers` in their order, or else what a judge named in each pass. With `weights`, the
    value with the most weight wins.
    """
    counts = Counter(value for value in values if value is not None)
    if not counts:
        return None
    shares = {} if weights is None else _shares(values, weights)
    numbers = {value: _numbers(values, value) if of_answers else () for value in counts}
    votes = [Votes(value, count, numbers[value], shares.get(value)) for value, count in counts.items()]
    votes.sort(key=lambda each: -(each.votes if each.weight is None else round(each.weight, 9)))
    first, *others = votes  # of equal ones, the value given first comes first
    tied = tuple(each.value for each in others if each.tied(first))
    abstained = tuple(position for position, value in enumerate(values) if value is None)
    return Majority(values.index(first.value), tied, abstained, Tally(tuple(votes), len(abstained)))


def _shares(values: Sequence[str | None], weights: Sequence[float]) -> dict[str, float]:
    """Return the share of each value in the weights of all votes."""
    sums: defaultdict[str, float] = defaultdict(float)
    for value, weight in zip(values, weights, strict=True):
        if value is not None:
            sums[value] += weight
    total = sum(sums.values())
    return {value: weight / total for value, weight in sums.items()}


def confidence_weights(
    confidences: Sequence[float | None], temperature: float, values: Sequence[str | None]
) -> tuple[float, ...]:
    """Return the weights of votes: the softmax of their confidences (0 to 100, taken as 0 to 1) at this temperature.

    Unknown confidences are the mean of the known ones. Abstentions have no weight: one that is very confident would
    otherwise leave none to the votes.
    """
    known = [confidence for confidence in confidences if confidence is not None]
    mean = sum(known) / len(known) if known else 0.0
    filled = [mean if each is None else each for each in confidences]
    most = max((each for each, value in zip(filled, values, strict=True) if value is not None), default=0.0)
    powers = [  # the difference first: a quotient may be infinite
        0.0 if value is None else exp((each - most) / 100 / temperature)
        for each, value in zip(filled, values, strict=True)
    ]
    return tuple(power / (sum(powers) or 1.0) for power in powers)


def _numbers(values: Sequence[str | None], value: str) -> tuple[int, ...]:
    return tuple(number for number, each in enumerate(values, 1) if each == value)


def borda(rankings: Sequence[Sequence[int]], count: int) -> tuple[int, ...]:
    """Merge rankings of positions 0 to `count` - 1, best first, into one.

    Rank p, from 0, scores `count` - p. Positions that a ranking omits get the average score of its remaining ranks.
    Positions with equal scores stay in order.
    """
    scores = [0.0] * count
    for ranking in rankings:
        rest = (count - len(ranking) + 1) / 2
        points = {position: float(count - place) for place, position in enumerate(ranking)}
        for position in range(count):
            scores[position] += points.get(position, rest)
    return tuple(sorted(range(count), key=lambda position: (-scores[position], position)))
