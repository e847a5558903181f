"""Thresholds of cascades, chosen on one half and reported on the other."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from moa_mcp.evaluation.statistics import ThresholdChoice, choose_threshold

QUESTIONS = 400


def chosen(seed: int = 0, *, margin: float = 0.02, clusters: list[int] | None = None) -> ThresholdChoice:
    """Return the choice for 4 samples that are right nearly always where at least 3 agree, else half the time."""
    rng = np.random.default_rng(1)
    agreement = rng.integers(1, 5, QUESTIONS) / 4
    stopped = (rng.random(QUESTIONS) < np.where(agreement >= 0.75, 0.98, 0.4)).astype(float)
    full = np.where(rng.random(QUESTIONS) < 0.95, np.maximum(stopped, rng.random(QUESTIONS) < 0.9), 0.0)
    calls = np.full(QUESTIONS, 4), np.full(QUESTIONS, 7)
    return choose_threshold(agreement, stopped, full, *calls, clusters, margin=margin, seed=seed)


def test_the_cheapest_threshold_within_the_margin_is_chosen_on_one_half_and_reported_on_the_other() -> None:
    found = chosen()
    assert found.chosen.threshold == found.reported.threshold == 0.75
    assert found.chosen.score.questions == found.reported.score.questions == QUESTIONS // 2
    assert 5 < found.reported.calls < 6
    assert found.reported.calls == pytest.approx(7 - 3 * found.reported.stopped)
    assert [each.threshold for each in found.candidates] == [0.25, 0.5, 0.75, 1.0, inf]
    assert found.within_margin == (found.reported.gain.mean.low > -0.02)


def test_another_seed_has_other_halves_and_the_same_one_the_same() -> None:
    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


def test_where_stopping_always_costs_accuracy_the_full_pipeline_is_chosen() -> None:
    found = choose_threshold(np.ones(40), np.zeros(40), np.ones(40), np.full(40, 4), np.full(40, 7))
    assert (found.chosen.threshold, found.reported.calls, found.reported.stopped) == (inf, 7, 0)
    assert found.reported.gain.mean.value == 0


def test_a_difference_within_the_margin_is_not_certain_from_few_questions() -> None:
    same = np.ones(20)
    found = choose_threshold(same, same, same, np.full(20, 4), np.full(20, 7))
    assert found.chosen.threshold == 1
    assert not found.within_margin


def test_questions_without_agreement_never_stop() -> None:
    agreement = np.array([1.0, np.nan] * 20)
    found = choose_threshold(agreement, np.ones(40), np.ones(40), np.full(40, 4), np.full(40, 7))
    assert found.reported.calls == pytest.approx(7 - 3 * found.reported.stopped)
    assert 0 < found.reported.stopped < 1


def test_clusters_are_not_divided() -> None:
    found = chosen(clusters=[number // 40 for number in range(QUESTIONS)])
    assert (found.chosen.score.clusters, found.reported.score.clusters) == (5, 5)


@pytest.mark.parametrize(("questions", "clusters"), [(3, None), (8, [1] * 8)])
def test_too_few_questions_can_not_be_divided(questions: int, clusters: list[int] | None) -> None:
    ones = np.ones(questions)
    with pytest.raises(ValueError, match="expected at least 4 in 2"):
        choose_threshold(ones, ones, ones, ones, ones, clusters)
