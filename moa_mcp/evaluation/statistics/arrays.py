"""Arrays of scores as callers give them: checked for shape and range, and summed by cluster. It knows no intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Clusters = Sequence[Hashable] | None
"""A label for each question. Questions with the same label are not independent, such as questions about the same
text. None: all are independent."""


def checked_scores(scores: ArrayLike, low: float = 0.0, high: float = 1.0) -> Floats:
    """Return scores as an array of shape (questions,), NaN where a question has none.

    Raises:
        ValueError: another shape, or a score that is not from `low` to `high`.

    """
    checked = np.asarray(scores, dtype=np.float64)
    if checked.ndim != 1:
        raise ValueError(f"scores have the shape {checked.shape}; expected one score for each question")
    outside = checked[(checked < low) | (checked > high)]
    if outside.size:
        raise ValueError(f"a score is {outside[0]:g}; expected {low:g} to {high:g}, or NaN where there is no score")
    return checked


def checked_level(level: float) -> float:
    """Return the level of an interval.

    Raises:
        ValueError: it is not between 0 and 1.

    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level:g}; expected a number between 0 and 1, such as 0.95")
    return level


def same_length(*arrays: Sequence[object] | Floats) -> int:
    """Return the number of questions that all arrays have.

    Raises:
        ValueError: their lengths differ.

    """
    lengths = {len(each) for each in arrays}
    if len(lengths) != 1:
        raise ValueError(f"arrays have the lengths {sorted(lengths)}; expected one value for each question in all")
    return lengths.pop()


def cluster_codes(clusters: Clusters, questions: int) -> NDArray[np.intp]:
    """Return the number of the cluster of each question, from 0 on; each question its own without `clusters`.

    Raises:
        ValueError: there is not one label for each question.

    """
    if clusters is None:
        return np.arange(questions)
    if len(clusters) != questions:
        raise ValueError(f"{len(clusters)} cluster labels for {questions} questions; expected one for each")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in clusters], dtype=np.intp)


class ClusterSums(Struct, frozen=True):
    """What the clusters add up to. NaN counts as no question."""

    sums: Floats
    """Shape (clusters, columns)."""
    sizes: Floats
    """Shape (clusters, columns): how many questions with a value a cluster has."""


def summed(values: Floats, codes: NDArray[np.intp]) -> ClusterSums:
    """Sum values of shape (questions, columns) by cluster."""
    clusters = int(codes.max()) + 1 if codes.size else 0
    sums, sizes = np.zeros((clusters, values.shape[1])), np.zeros((clusters, values.shape[1]))
    np.add.at(sums, codes, np.nan_to_num(values))
    np.add.at(sizes, codes, ~np.isnan(values))
    return ClusterSums(sums, sizes)
