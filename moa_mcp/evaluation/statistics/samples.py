"""Baselines that cost nothing, from the samples that a pipeline has asked for anyway.

The expected score of one sample, of the majority of j samples and of the best of j, each as the mean over all subsets
of j of a question's k samples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from functools import lru_cache
from math import comb
from statistics import fmean

import numpy as np
from msgspec import Struct

from moa_mcp.evaluation.statistics.arrays import Floats, checked_scores


class SampleBaselines(Struct, frozen=True):
    """Scores by question, for a paired comparison with the pipeline that the samples are from."""

    single: Floats
    """Shape (questions,): the expected score of one sample. NaN for a question without samples."""
    majority: Floats
    """Shape (questions, k): in column j - 1, the expected score of the most frequent value of j samples, where ties
    share. NaN where a question has fewer samples."""
    best: Floats
    """Shape (questions, k): the same of the best of j samples, which only an oracle can choose."""


def sample_baselines(scores: Sequence[Sequence[float]], values: Sequence[Sequence[Hashable | None]]) -> SampleBaselines:
    """Return the baselines from the samples of each question: their scores from 0 to 1, and their extracted values.

    A value of None could not be extracted. Such a sample has no vote, except where no sample has a value.

    Raises:
        ValueError: a question has another number of values than scores, or a score is not from 0 to 1.

    """
    if [len(each) for each in scores] != [len(each) for each in values]:
        raise ValueError("scores and values have different lengths; expected one of each for each sample")
    checked = [checked_scores(each) for each in scores]
    k = max((len(each) for each in scores), default=0)
    single, majority, best = (np.full((len(scores), width), np.nan) for width in (1, k, k))
    for question, (given, found) in enumerate(zip(checked, values, strict=True)):
        if given.size:
            single[question] = given.mean()
            majority[question, : given.size] = majority_scores(given, found)
            best[question, : given.size] = best_scores(given)
    return SampleBaselines(single[:, 0], majority, best)


def best_scores(scores: Floats) -> Floats:
    """Return the expected score of the best of j of k samples, for j from 1 to k."""
    ascending, k = np.sort(scores), len(scores)
    return np.array(
        [
            sum(score * comb(below, j - 1) / comb(k, j) for below, score in enumerate(ascending.tolist()))
            for j in range(1, k + 1)
        ]
    )


def majority_scores(scores: Floats, values: Sequence[Hashable | None]) -> Floats:
    """Return the expected score of the majority of j of k samples, for j from 1 to k."""
    by_value: defaultdict[Hashable | None, list[float]] = defaultdict(list)
    for score, value in zip(scores.tolist(), values, strict=True):
        by_value[value].append(score)
    silent = by_value.pop(None, [])
    ballots = sorted((len(each), fmean(each)) for each in by_value.values())
    return _expected(tuple(ballots), len(silent), fmean(silent) if silent else 0.0)


@lru_cache(maxsize=4096)
def _expected(ballots: tuple[tuple[int, float], ...], silent: int, silent_score: float) -> Floats:
    """Return expected scores by j, for values with (number of samples, score) and samples without a vote."""
    k = sum(count for count, _ in ballots) + silent
    counts = [count for count, _ in ballots]
    elected = {count: _elected(counts, count, silent, k) for count in {*counts}}
    ways = sum((score * elected[count] for count, score in ballots), np.zeros(k + 1))
    ways += silent_score * np.array([comb(silent, j) for j in range(k + 1)])
    return np.array([ways[j] / comb(k, j) for j in range(1, k + 1)])


def _elected(counts: list[int], count: int, silent: int, k: int) -> Floats:
    """Return in how many subsets of each size a value with `count` samples is elected; w others in a tie share."""
    others = counts.copy()
    others.remove(count)
    total = np.zeros(k + 1)
    for votes in range(1, count + 1):
        ways = np.zeros((len(others) + 1, k + 1))
        ways[0, votes : votes + silent + 1] = [comb(count, votes) * comb(silent, each) for each in range(silent + 1)]
        for other in others:
            ways = _with(ways, other, votes)
        total += (ways / np.arange(1, len(others) + 2)[:, None]).sum(axis=0)
    return total


def _with(ways: Floats, other: int, votes: int) -> Floats:
    """Return the subsets with another value too: below the votes of the first, or in a tie with it."""
    extended = np.zeros_like(ways)
    for each in range(min(other, votes - 1) + 1):
        extended[:, each:] += comb(other, each) * ways[:, : ways.shape[1] - each]
    if other >= votes:
        extended[1:, votes:] += comb(other, votes) * ways[:-1, : ways.shape[1] - votes]
    return extended
