"""What a step finds out about answers beside the answers that it returns: counts of votes, reviews and analyses."""

from __future__ import annotations

from math import isclose
from typing import NamedTuple

from msgspec import Struct

from moa_mcp.places import Place, Word


class Votes(NamedTuple):
    """The number of votes for a value."""

    value: str
    votes: int
    answers: tuple[int, ...] = ()
    """The answers that have the value, by their numbers before the step; empty for the votes of a judge."""
    weight: float | None = None
    """Its share of the weights of all votes; None if they have none."""

    def tied(self, other: Votes) -> bool:
        """Whether the other value has as many votes, or as much weight if they have weights."""
        if self.weight is None or other.weight is None:
            return self.votes == other.votes
        return isclose(self.weight, other.weight)


class Tally(Struct, frozen=True):
    """The result of a count."""

    values: tuple[Votes, ...]
    """The values of the answers, or the numbers of the answers that a judge chose; most votes first."""
    abstained: int = 0
    """Number of answers without a readable value."""

    @property
    def of(self) -> int:
        """Number of votes, including abstentions."""
        return sum(each.votes for each in self.values) + self.abstained


class Placement(NamedTuple):
    """The place of an answer in a review."""

    place: int
    """Counts from 1, which is the best."""
    of: int
    """Number of answers that were ranked."""
    points: float
    """From 0 (last in every review) to 1 (first in every review)."""


class Standing(NamedTuple):
    """What the reviews say about one answer."""

    agent: Word
    """Alias of its author."""
    place: Place
    """Position of the call that wrote it."""
    number: int
    """Its number before the review, from 1."""
    points: float
    """Mean points, from 0 (last in every review) to 1 (first in every review); 0.5 if no review ranked it."""
    ballots: int
    """Number of reviews that ranked it."""
    firsts: int
    """Number of reviews that ranked it first."""


class PeerReview(Struct, frozen=True):
    """The result of a review."""

    standings: tuple[Standing, ...]
    """All answers, the best first."""
    ballots: int
    """Number of reviews that were counted."""


class Point(NamedTuple):
    """A statement about answers, and the answers that it is about, as numbers from 1. No numbers: not stated."""

    text: str
    answers: tuple[int, ...] = ()


class Contradiction(NamedTuple):
    """A topic on which answers contradict each other, with what they say."""

    topic: str
    positions: tuple[Point, ...]


class Analysis(Struct, frozen=True):
    """The comparison of several answers."""

    of: tuple[Place, ...]
    """The calls that wrote the compared answers. The numbers in this analysis refer to their order."""
    consensus: tuple[Point, ...] = ()
    """What answers agree on."""
    contradictions: tuple[Contradiction, ...] = ()
    partial_coverage: tuple[Point, ...] = ()
    """What some answers treat and others leave out."""
    unique_insights: tuple[Point, ...] = ()
    """What only one answer has."""
    blind_spots: tuple[str, ...] = ()
    """What all answers miss."""

    def is_about(self, places: tuple[Place, ...]) -> bool:
        """Return whether it compared the answers of these calls, in any order."""
        return sorted(places) == sorted(self.of)
