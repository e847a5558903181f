"""The figures of evaluations are honest: 200 simulated ones whose truth is known, and judges with planted biases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.simulated_evaluations import Coverage, Design, coverage
from benchmarks.simulated_judges import FAIR, judged, truth

EVALUATIONS = 200


@pytest.fixture(scope="module")
def without_a_gain() -> Coverage:
    return coverage(Design("no gain", 100, gains=False), EVALUATIONS)


def test_intervals_contain_the_true_gain_in_93_to_97_percent_of_evaluations() -> None:
    found = coverage(Design("a gain", 100), EVALUATIONS)
    assert 0.93 <= found.covered <= 0.97
    assert found.mean_gain == pytest.approx(Design("a gain", 100).true_gain, abs=0.01)


def test_intervals_contain_zero_in_93_to_97_percent_of_evaluations_without_a_gain(without_a_gain: Coverage) -> None:
    assert 0.93 <= without_a_gain.covered <= 0.97


def test_the_gate_passes_without_a_gain_in_at_most_5_percent_of_evaluations(without_a_gain: Coverage) -> None:
    assert without_a_gain.passed <= 0.05


def test_a_judge_without_a_bias_gets_none_ascribed() -> None:
    known, found = truth(FAIR), judged(FAIR, 300)
    assert found.position_interval is not None
    assert found.position_interval.low < 0 < found.position_interval.high
    assert found.interval is not None
    assert found.interval.low < known.win_rate < found.interval.high
    assert found.notes == ()


def test_a_planted_liking_for_the_first_answer_is_found_and_corrected_by_both_orders() -> None:
    judge = replace(FAIR, position=1.0)
    known, found = truth(judge), judged(judge, 300)
    assert found.position_bias == pytest.approx(known.first, abs=0.04)
    assert found.position_interval is not None
    assert found.position_interval.low > 0
    assert found.interval is not None
    assert found.interval.low < known.win_rate < found.interval.high
    assert any("sees first" in note for note in found.notes)


def test_a_planted_love_of_length_is_found_and_corrected_by_the_length_controlled_rate() -> None:
    judge = replace(FAIR, length=2.5)
    known, found = truth(judge), judged(judge, 400)
    assert found.interval is not None
    assert known.win_rate < found.interval.low < known.plain < found.interval.high
    assert found.length_interval is not None
    assert found.length_interval.low < known.win_rate < found.length_interval.high
    assert any("longer" in note for note in found.notes)


def test_verdicts_that_cannot_be_read_are_counted_apart() -> None:
    found = judged(replace(FAIR, unreadable=0.3), 200)
    assert found.n + found.unreadable == 200
    assert (
        0.09 < found.unreadable / 200 < 0.27
    )  # a pair has two verdicts, each asked for at most twice: 1 - (1 - 0.09)²
