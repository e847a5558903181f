"""Verdicts of judges: win rate, planted tastes for place and length, and what can't be estimated."""

from __future__ import annotations

import numpy as np
import pytest

from moa_mcp.evaluation.statistics import Figure, LengthControl, NotControlled, Preference, preference
from tests.support.simulated_scores import Judged, Tastes, clusters_of, judged

FAIR = Tastes(quality=0.4)


def said(verdicts: Judged, clusters: list[int] | None = None) -> Preference:
    return preference(verdicts.a_first.tolist(), verdicts.b_first.tolist(), verdicts.length_differences, clusters)


def true_rate(tastes: Tastes) -> float:
    """Return how often the judge prefers A over both orders, if all answers had the same length."""
    verdicts = judged(np.random.default_rng(0), tastes._replace(length=0), 400_000)
    return float(verdicts.a_first.mean() + verdicts.b_first.mean()) / 2


def controlled(found: Preference) -> LengthControl:
    assert isinstance(found.length_controlled, LengthControl)
    return found.length_controlled


def test_verdicts_are_counted_by_question_over_both_orders() -> None:
    found = preference([1, 1, 0, 0.5, 1, None, 1], [1, 0, 0, 0.5, 0.5, 1, None], np.zeros(7))
    assert (found.pairs, found.unreadable) == (5, 2)
    assert (found.won, found.lost, found.tied, found.tied_verdicts) == (2, 1, 2, 3)
    assert found.win_rate.value == pytest.approx((1 + 0.5 + 0 + 0.5 + 0.75) / 5)
    assert found.position_bias.value == pytest.approx((0 + 1 + 0 + 0 + 0.5) / 5 / 2)
    assert found.consistency.value == pytest.approx(3 / 5)


def test_a_planted_position_bias_is_found_and_does_not_change_the_win_rate() -> None:
    tastes = FAIR._replace(place=1.0)
    verdicts = judged(np.random.default_rng(1), tastes, 800)
    truth = judged(np.random.default_rng(2), tastes, 400_000)
    bias = float(truth.a_first.mean() - truth.b_first.mean()) / 2
    found = said(verdicts)
    assert bias > 0.09
    assert found.position_bias.low > 0
    assert found.position_bias.low < bias < found.position_bias.high
    assert found.win_rate.low < true_rate(FAIR) < found.win_rate.high


@pytest.mark.parametrize("cluster_size", [1, 5])
def test_a_planted_love_of_length_is_found_and_corrected(cluster_size: int) -> None:
    verdicts = judged(np.random.default_rng(3), Tastes(0.0, 1.5, 0.5), 800, cluster_size=cluster_size)
    found = said(verdicts, clusters_of(800, cluster_size))
    assert found.win_rate.low > 0.53
    assert controlled(found).win_rate.low < 0.5 < controlled(found).win_rate.high
    assert controlled(found).favours == "longer"
    assert not controlled(found).extrapolated


def test_a_taste_for_short_answers_is_corrected_too() -> None:
    tastes = Tastes(0.4, -1.5, 0.0)
    found = controlled(said(judged(np.random.default_rng(4), tastes, 800)))
    assert found.favours == "shorter"
    assert found.win_rate.low < true_rate(tastes) < found.win_rate.high


def test_a_judge_without_tastes_has_nothing_to_correct() -> None:
    found = said(judged(np.random.default_rng(5), FAIR, 800))
    assert controlled(found).favours == "neither"
    assert controlled(found).win_rate.value == pytest.approx(found.win_rate.value, abs=0.01)
    assert not found.position_bias.excludes(0)


def test_the_other_contestant_has_the_rest_of_each_rate() -> None:
    verdicts = judged(np.random.default_rng(6), Tastes(0.4, 0.8, 0.5), 200)
    found = said(verdicts)
    other = said(Judged(1 - verdicts.b_first, 1 - verdicts.a_first, -verdicts.length_differences))
    for mine, theirs in [
        (found.win_rate, other.win_rate),
        (controlled(found).win_rate, controlled(other).win_rate),
    ]:
        assert [theirs.value, theirs.low] == pytest.approx([1 - mine.value, 1 - mine.high])
    assert other.position_bias.value == pytest.approx(found.position_bias.value)
    assert controlled(other).coefficient.value == pytest.approx(controlled(found).coefficient.value)


def test_answers_of_one_side_that_are_always_longer_extrapolate() -> None:
    verdicts = judged(np.random.default_rng(7), FAIR, 400)
    assert controlled(said(verdicts._replace(length_differences=abs(verdicts.length_differences)))).extrapolated


CORRECTABLE = judged(np.random.default_rng(8), FAIR, 60)
LONGER = np.where(CORRECTABLE.length_differences > 0, 1.0, 0.0)
ONES = np.ones(60)


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        (judged(np.random.default_rng(8), FAIR, 9), "too few pairs"),
        (CORRECTABLE._replace(length_differences=ONES), "lengths hardly vary"),
        (CORRECTABLE._replace(length_differences=500 + LONGER), "lengths hardly vary"),
        (CORRECTABLE._replace(a_first=ONES, b_first=ONES), "one side is hardly preferred"),
        (CORRECTABLE._replace(a_first=LONGER, b_first=LONGER), "verdicts are separated"),
        (CORRECTABLE._replace(a_first=ONES, b_first=1 - ONES), "verdicts are separated"),
    ],
)
def test_what_can_not_be_corrected_has_a_reason(verdicts: Judged, reason: str) -> None:
    found = said(verdicts).length_controlled
    assert isinstance(found, NotControlled)
    assert found.reason == reason


def test_pairs_in_few_clusters_are_too_few() -> None:
    found = said(CORRECTABLE, [number % 9 for number in range(60)])
    assert found.length_controlled == NotControlled("too few pairs")


def test_a_place_that_always_wins_is_a_bias_of_a_half() -> None:
    found = said(CORRECTABLE._replace(a_first=ONES, b_first=1 - ONES))
    assert found.win_rate.value == 0.5
    assert found.position_bias.value == 0.5
    assert found.position_bias.low > 0.4


def test_only_ties_have_a_rate_of_a_half_that_is_not_certain() -> None:
    ties = np.full(40, 0.5)
    found = said(Judged(ties, ties, np.arange(40.0)))
    assert found.win_rate.low < 0.5 < found.win_rate.high
    assert found.tied_verdicts == 80
    assert found.length_controlled == NotControlled("one side is hardly preferred")


def test_without_a_readable_verdict_every_rate_is_possible() -> None:
    found = preference([None, 1], [0, None], [3, 4])
    assert (found.pairs, found.unreadable) == (0, 2)
    assert (found.win_rate.low, found.win_rate.high) == (0, 1)
    assert (found.position_bias.low, found.position_bias.high) == (-0.5, 0.5)


@pytest.mark.parametrize(("verdict", "message"), [(0.7, "a verdict is not 1"), (2, "a score is 2")])
def test_another_verdict_is_refused(verdict: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preference([verdict], [1], [0])


def test_a_figure_in_another_unit_has_its_ends_in_order() -> None:
    assert Figure(0.2, 0.1, 0.4).mapped(shift=1, scale=-1) == Figure(0.8, 0.6, 0.9)
