"""The mean score of one contestant: published intervals, degenerate scores, clusters."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.evaluation.statistics import mean_score, wilson

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan")]), min_size=1, max_size=30)


def test_wilsons_interval_is_that_of_newcombe_1998() -> None:
    """Newcombe, Statistics in Medicine 17: 857-872, table I, method 3."""
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    assert {
        (right, questions): (round(figure.low, 4), round(figure.high, 4))
        for right, questions in published
        for figure in [mean_score([1.0] * right + [0.0] * (questions - right)).mean]
    } == published


def test_20_of_20_right_is_not_certain() -> None:
    found = mean_score(np.ones(20))
    assert found.mean == wilson(1.0, 20)
    assert found.mean.low == pytest.approx(0.8389, abs=1e-4)
    assert (found.questions, found.clusters) == (20, 20)


def test_equal_clusters_say_no_more_than_their_number_of_questions() -> None:
    assert mean_score(np.ones(20), [number // 5 for number in range(20)]).mean.low < wilson(1.0, 4).low


def test_one_cluster_says_next_to_nothing() -> None:
    figure = mean_score([1.0] * 15 + [0.0] * 5, ["text"] * 20).mean
    assert figure.low < 0.01
    assert figure.high > 0.99


def test_fractional_scores_say_more_than_right_and_wrong_ones_of_the_same_mean() -> None:
    fractional, binary = mean_score([0.4, 0.6] * 20).mean, mean_score([0.0, 1.0] * 20).mean
    assert fractional.high - fractional.low < 0.5 * (binary.high - binary.low)


def test_clusters_whose_questions_go_together_widen_the_interval() -> None:
    scores = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0], 5)
    alone, together = mean_score(scores).mean, mean_score(scores, np.repeat(np.arange(8), 5).tolist()).mean
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_a_question_without_a_score_is_left_out() -> None:
    with_nan = mean_score([1.0, np.nan, 0.0, 1.0], ["a", "b", "a", "c"])
    assert with_nan == mean_score([1.0, 0.0, 1.0], ["a", "a", "c"])
    assert (with_nan.questions, with_nan.clusters) == (3, 2)


@pytest.mark.parametrize("scores", [[], [np.nan, np.nan]])
def test_without_scores_every_mean_is_possible(scores: list[float]) -> None:
    found = mean_score(scores)
    assert np.isnan(found.mean.value)
    assert (found.mean.low, found.mean.high, found.questions) == (0.0, 1.0, 0)


@pytest.mark.parametrize(
    ("scores", "clusters", "level", "message"),
    [
        ([0.5, 1.5], None, 0.95, "a score is 1.5"),
        ([[0.5], [1.0]], None, 0.95, r"the shape \(2, 1\)"),
        ([0.5, 1.0], ["a"], 0.95, "1 cluster labels for 2 questions"),
        ([0.5, 1.0], None, 95, "level is 95"),
    ],
)
def test_what_is_wrong_is_named(scores: list[float], clusters: list[str] | None, level: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_score(scores, clusters, level=level)


@given(SCORES, st.booleans(), st.integers(0, 9))
def test_an_interval_has_the_mean_stays_in_bounds_and_ignores_order(
    scores: list[float], clustered: bool, seed: int
) -> None:
    labels = [number % 4 for number in range(len(scores))]
    figure = mean_score(scores, labels if clustered else None).mean
    assert 0 <= figure.low <= figure.high <= 1
    assert figure.high > figure.low
    if not np.isnan(figure.value):
        assert figure.low <= figure.value <= figure.high
    order = Random(seed).sample(range(len(scores)), len(scores))
    again = mean_score([scores[each] for each in order], [labels[each] for each in order] if clustered else None).mean
    assert [again.low, again.high] == pytest.approx([figure.low, figure.high])


@given(st.integers(1, 40), st.integers(0, 40))
def test_more_right_answers_raise_both_ends_and_a_higher_level_widens(questions: int, right: int) -> None:
    right = min(right, questions - 1)
    fewer, more = (mean_score([1.0] * each + [0.0] * (questions - each)).mean for each in (right, right + 1))
    assert fewer.low <= more.low
    assert fewer.high <= more.high
    wide = wilson(right / questions, questions, 0.99)
    assert wide.low <= fewer.low <= fewer.high <= wide.high
