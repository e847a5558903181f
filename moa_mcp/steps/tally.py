"""Counts votes and merges rankings, without a model.

The votes are values from `extraction`, or the numbers of the answers that a judge chose.
Majority over extracted answers is self-consistency (Wang et al. 2022, arXiv 2203.11171); merging the rankings of
several orders is permutation self-consistency (Tang et al. 2023, arXiv 2310.07712). It uses the Borda count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from moa_mcp.values import Tally, Votes


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
    def readable(self) -> int:
        """Number of votes without the abstentions."""
        return sum(votes for _, votes in self.tally.values)


def majority(values: Sequence[str | None]) -> Majority | None:
    """Return the result of a majority vote; None if all votes are abstentions."""
    counts = Counter(
        value for value in values if value is not None
    ).most_common()  # of equal counts, the value given first comes first
    if not counts:
        return None
    first, votes = counts[0]
    tied = tuple(value for value, count in counts[1:] if count == votes)
    abstained = tuple(position for position, value in enumerate(values) if value is None)
    tally = Tally(tuple(Votes(value, count) for value, count in counts), len(abstained))
    return Majority(values.index(first), tied, abstained, tally)


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
