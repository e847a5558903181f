"""Paired gains: published intervals and tests, symmetry, degenerate differences."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test
from statsmodels.stats.contingency_tables import mcnemar

from moa_mcp.evaluation.statistics import Figure, PairedGain, paired_gain
from moa_mcp.evaluation.statistics.sign_flips import sign_flip_p
from moa_mcp.evaluation.statistics.tango import tango

PAIRS = st.lists(st.tuples(*[st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan")])] * 2), min_size=1, max_size=30)


def gain(won: int, lost: int, tied: int, clusters: list[int] | None = None) -> PairedGain:
    return paired_gain([1.0] * won + [0.0] * (lost + tied), [0.0] * won + [1.0] * lost + [0.0] * tied, clusters)


def ends(figure: Figure) -> list[float]:
    return [figure.low, figure.high]


def test_the_interval_and_test_are_those_of_fagerland_lydersen_and_laake() -> None:
    """Their example in Statistics in Medicine 33: 2850-2875 (2014), of Bentur et al. (2009)."""
    found = gain(1, 7, 13)
    assert (round(found.mean.low, 3), round(found.mean.high, 3)) == (-0.517, -0.026)
    assert round(found.p_value, 4) == 0.0703
    assert (found.won, found.lost, found.tied, found.questions, found.test) == (1, 7, 13, 21, "mcnemar")


@pytest.mark.parametrize(("won", "lost"), [(3, 9), (10, 10), (0, 6)])
def test_mcnemars_p_value_is_that_of_statsmodels(won: int, lost: int) -> None:
    assert gain(won, lost, 5).p_value == pytest.approx(mcnemar([[0, won], [lost, 0]], exact=True).pvalue)


@pytest.mark.parametrize("size", [8, 13])
def test_the_sign_flip_test_tries_all_signs_of_few_differences(size: int) -> None:
    differences = np.random.default_rng(size).normal(0.1, 0.2, size)
    exact = permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False)
    assert sign_flip_p(differences) == pytest.approx(exact.pvalue)


@pytest.mark.parametrize("decimals", [1, 8])
def test_the_sign_flip_test_draws_signs_of_many_differences(decimals: int) -> None:
    differences = np.random.default_rng(3).normal(0.05, 0.2, 60).round(decimals)
    drawn = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=20_000, axis=0, rng=1)
    assert sign_flip_p(differences) == pytest.approx(drawn.pvalue, abs=0.01)
    assert sign_flip_p(differences) == sign_flip_p(differences)
    assert sign_flip_p(differences, seed=1) != sign_flip_p(differences)


def test_no_difference_on_20_questions_is_not_certain() -> None:
    found = gain(0, 0, 20)
    assert ends(found.mean) == pytest.approx([-0.161, 0.161], abs=1e-3)
    assert found.p_value == 1


def test_all_won_is_not_certain() -> None:
    found = gain(20, 0, 0)
    assert 0.6 < found.mean.low < 0.75
    assert found.mean.high == 1
    assert found.p_value == pytest.approx(2 / 2**20)


def test_equal_fractional_gains_are_not_certain() -> None:
    figure = paired_gain([0.5] * 30, [0.25] * 30).mean
    assert 0.2 < figure.low < 0.22
    assert 0.28 < figure.high < 0.3


@pytest.mark.parametrize("clusters", [None, [7]])
def test_one_question_decides_nothing(clusters: list[int] | None) -> None:
    found = gain(1, 0, 0, clusters)
    assert found.mean.low < -0.5
    assert found.p_value == 1


def test_clusters_of_one_question_say_as_much_as_no_clusters_where_all_differ_equally() -> None:
    mean = paired_gain(np.full(60, 5 / 6), np.full(60, 1 / 6), [*range(60)]).mean
    assert mean.low == pytest.approx(0.64, abs=0.01)
    assert mean.high == pytest.approx(0.69, abs=0.01)


def test_one_cluster_decides_nothing_however_large() -> None:
    found = gain(40, 0, 10, [1] * 50)
    assert found.mean.low < -0.9
    assert (found.p_value, found.clusters, found.questions) == (1, 1, 50)


def test_few_clusters_can_not_be_significant() -> None:
    assert gain(40, 0, 10, [number % 5 for number in range(50)]).p_value == 2 / 2**5


def test_without_a_common_question_every_gain_is_possible() -> None:
    found = paired_gain([1.0, np.nan], [np.nan, 0.0])
    assert np.isnan(found.mean.value)
    assert (found.mean.low, found.mean.high, found.questions, found.p_value) == (-1.0, 1.0, 0, 1.0)


def test_questions_that_one_has_no_score_for_are_left_out() -> None:
    first, second = [1.0, np.nan, 1.0, 0.5], [0.0, 1.0, 1.0, 0.0]
    assert paired_gain(first, second, "abca") == paired_gain([1.0, 1.0, 0.5], [0.0, 1.0, 0.0], "aca")


def test_scores_of_different_questions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lengths \[2, 3\]"):
        paired_gain([1.0, 0.0], [1.0, 0.0, 1.0])


@pytest.mark.parametrize("won", [0, 3, 20])
def test_tangos_interval_grows_to_all_values(won: int) -> None:
    intervals = [tango(won, 0, 20, critical) for critical in (0.5, 1.96, 10, 30)]
    assert all(wide[0] <= narrow[0] <= narrow[1] <= wide[1] for narrow, wide in pairwise(intervals))
    assert intervals[-1][0] < -0.8 + won / 10


@given(PAIRS, st.booleans(), st.integers(0, 9))
def test_the_gain_is_the_opposite_one_of_the_other_side_in_bounds_and_ignores_order(
    pairs: list[tuple[float, float]], clustered: bool, seed: int
) -> None:
    labels = [number % 4 for number in range(len(pairs))]
    first, second = zip(*pairs, strict=True)
    found = paired_gain(first, second, labels if clustered else None)
    assert -1 <= found.mean.low <= found.mean.high <= 1
    assert found.mean.high > found.mean.low
    assert 0 < found.p_value <= 1
    assert (found.won + found.lost + found.tied) == found.questions
    other = paired_gain(second, first, labels if clustered else None)
    assert ends(other.mean.mapped(scale=-1)) == pytest.approx(ends(found.mean))
    assert (other.won, other.lost, other.p_value) == (found.lost, found.won, found.p_value)
    order = Random(seed).sample(range(len(pairs)), len(pairs))
    again = paired_gain(
        [first[each] for each in order],
        [second[each] for each in order],
        [labels[each] for each in order] if clustered else None,
    )
    assert ends(again.mean) == pytest.approx(ends(found.mean))
    assert again.p_value == pytest.approx(found.p_value)


@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15))
def test_one_more_question_won_raises_both_ends(won: int, lost: int, tied: int) -> None:
    fewer, more = gain(won, lost, tied + 1).mean, gain(won + 1, lost, tied).mean
    assert fewer.low <= more.low + 1e-9
    assert fewer.high <= more.high + 1e-9
