"""Counting without a model: which value was given most often, and how rankings merge.

What the values are is not known here: they come from `extraction`, or are the numbers of answers that a judge named.
Majority over extracted answers is self-consistency (Wang et al. 2022, arXiv 2203.11171); merging the rankings of
several orders is permutation self-consistency (Tang et al. 2023, arXiv 2310.07712), here by Borda count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from moa_mcp.values import Tally, Votes


class Lead(NamedTuple):
    """Which value was given most often so far."""

    value: str
    by: int
    """How much more often than the second; 0 where none was given, or two as often."""


def lead(values: Iterable[str | None]) -> Lead:
    """Return which value leads, and by how much; None is no value."""
    first, second = [*Counter(value for value in values if value is not None).most_common(2), ("", 0), ("", 0)][:2]
    return Lead(first[0], first[1] - second[1])


class Majority(NamedTuple):
    """The outcome of a count: the value that was given most often. Positions count from 0."""

    winner: int
    """Position of the first that gave it."""
    tied: tuple[str, ...]
    """Other values with as many votes; the winning one was given first."""
    abstained: tuple[int, ...]
    """Positions of those that gave no value."""
    tally: Tally

    @property
    def value(self) -> str:
        """The value."""
        return self.tally.values[0].value

    @property
    def votes(self) -> int:
        """How often it was given."""
        return self.tally.values[0].votes

    @property
    def readable(self) -> int:
        """How many gave a value."""
        return sum(votes for _, votes in self.tally.values)


def majority(values: Sequence[str | None]) -> Majority | None:
    """Return which value was given most often; None if none was given."""
    counts = Counter(
        value for value in values if value is not None
    ).most_common()  # equal counts: the first given first
    if not counts:
        return None
    first, votes = counts[0]
    tied = tuple(value for value, count in counts[1:] if count == votes)
    abstained = tuple(position for position, value in enumerate(values) if value is None)
    tally = Tally(tuple(Votes(value, count) for value, count in counts), len(abstained))
    return Majority(values.index(first), tied, abstained, tally)


def borda(rankings: Sequence[Sequence[int]], count: int) -> tuple[int, ...]:
    """Merge rankings of positions 0 to `count` - 1, best first, into one.

    A place p from the top scores `count` - p; positions that a ranking leaves out share its remaining places
    equally. Equal scores keep the order of the positions.
    """
    scores = [0.0] * count
    for ranking in rankings:
        rest = (count - len(ranking) + 1) / 2
        points = {position: float(count - place) for place, position in enumerate(ranking)}
        for position in range(count):
            scores[position] += points.get(position, rest)
    return tuple(sorted(range(count), key=lambda position: (-scores[position], position)))
