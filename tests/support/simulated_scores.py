"""Evaluations with a known truth: contestants of stated competence, whose errors correlate; judges of known tastes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

Floats = NDArray[np.float64]
DIFFICULTY, TOPIC, TASTE = 0.4, 0.15, 0.15
"""Shares of the variance of whether an answer is right: the question's difficulty, that of its cluster, and how well
the contestant knows the cluster. The rest is chance."""


def scores(
    rng: np.random.Generator, competences: Sequence[float], questions: int, *, samples: int = 1, cluster_size: int = 1
) -> Floats:
    """Return scores of shape (contestants, questions): 0/1, or the means of several samples of each question.

    A contestant is right with the probability of its competence, over all questions and clusters that there could be.
    """
    shape, clusters = (len(competences), questions), -(-questions // cluster_size)
    topics, tastes = (TOPIC, TASTE) if cluster_size > 1 else (0.0, 0.0)
    of_cluster = np.arange(questions) // cluster_size
    ability = ndtri(np.array(competences, dtype=np.float64))[:, None] + np.sqrt(DIFFICULTY) * rng.standard_normal(
        questions
    )
    ability = ability + np.sqrt(topics) * rng.standard_normal(clusters)[of_cluster]
    ability = ability + np.sqrt(tastes) * rng.standard_normal((len(competences), clusters))[:, of_cluster]
    chance = np.sqrt(1 - DIFFICULTY - topics - tastes) * rng.standard_normal((samples, *shape))
    return np.asarray((ability + chance > 0).mean(axis=0), dtype=np.float64)


def answers(rng: np.random.Generator, competence: float, samples: int, questions: int) -> Floats:
    """Return the scores of single answers of one contestant, of shape (samples, questions)."""
    ability = ndtri(competence) + np.sqrt(DIFFICULTY) * rng.standard_normal(questions)
    chance = np.sqrt(1 - DIFFICULTY) * rng.standard_normal((samples, questions))
    return np.asarray(ability + chance > 0, dtype=np.float64)


def clusters_of(questions: int, cluster_size: int) -> list[int] | None:
    """Return the labels of clusters of this size; None if each question is its own."""
    return None if cluster_size == 1 else (np.arange(questions) // cluster_size).tolist()


class Judged(NamedTuple):
    """Verdicts on A against B, by question: 1 if A is preferred, 0 if B is, 0.5 for a tie."""

    a_first: Floats
    b_first: Floats
    length_differences: Floats
    """The length of A's answer minus that of B's."""


class Tastes(NamedTuple):
    """What a judge prefers, in log-odds."""

    quality: float = 0.4
    """How much better A's answers are."""
    length: float = 0.0
    """How much a longer answer is preferred."""
    place: float = 0.0
    """How much more the first answer is preferred than the second."""


def judged(rng: np.random.Generator, tastes: Tastes, questions: int, *, cluster_size: int = 1) -> Judged:
    """Return verdicts of a judge on questions of various difficulty. A's answers are mostly longer."""
    lengths = 200 + 400 * rng.standard_normal(questions)
    odds = tastes.quality + rng.standard_normal(questions) + tastes.length * np.tanh(lengths / 400)
    if cluster_size > 1:
        odds = odds + 0.7 * rng.standard_normal(-(-questions // cluster_size))[np.arange(questions) // cluster_size]
    orders = []
    for place in (tastes.place / 2, -tastes.place / 2):
        verdicts = (rng.random(questions) < expit(odds + place)).astype(np.float64)
        orders.append(np.where(rng.random(questions) < 0.1, 0.5, verdicts))
    return Judged(orders[0], orders[1], lengths)
