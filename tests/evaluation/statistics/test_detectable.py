"""What gain questions detect, and how many questions a gain needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.evaluation.statistics import Detectable, compared, detectable
from tests.support.simulated_scores import clusters_of, scores


def of(questions: int, square: float, *, effect: float = 1.0) -> Detectable:
    return Detectable(questions, square, 1.0, effect, 0.95, 0.8)


def test_the_number_of_questions_is_that_of_connett_smith_and_mchugh() -> None:
    """(1.96 sqrt(0.4) + 0.8416 sqrt(0.4 - 0.04))^2 / 0.04 is 76.09."""
    assert of(1, 0.4).needed(0.2) == 77


def test_a_gain_of_more_than_the_share_that_differed_needs_all_of_it_to_be_won() -> None:
    assert of(1, 0.05).needed(0.3) == of(1, 0.3).needed(0.3)


def test_clusters_need_as_many_more_questions_as_their_design_effect() -> None:
    assert of(1, 0.4, effect=3.0).needed(0.2) == pytest.approx(3 * of(1, 0.4).needed(0.2), abs=3)


def test_very_few_questions_detect_nothing() -> None:
    assert of(2, 1.0).gain is None
    assert detectable([np.nan], [1.0]).gain is None


def test_more_comparisons_detect_less() -> None:
    first, second = scores(np.random.default_rng(1), [0.8, 0.7], 100)
    alone, several = (detectable(first, second, comparisons=each).gain for each in (1, 10))
    assert alone is not None
    assert several is not None
    assert alone < several


def test_contestants_without_any_difference_detect_what_differences_could_have_been_missed() -> None:
    found = detectable(np.ones(100), np.ones(100))
    assert found.square == pytest.approx(2 / 102)
    assert found.gain == pytest.approx(0.0765, abs=1e-3)


@pytest.mark.parametrize(("level", "power"), [(0.95, 80), (0.0, 0.8)])
def test_a_wrong_level_or_power_is_refused(level: float, power: float) -> None:
    with pytest.raises(ValueError, match="expected a number between 0 and 1"):
        detectable([1.0, 0.0], [0.0, 1.0], level=level, power=power)


@pytest.mark.parametrize("gain", [0.0, 1.1, -0.1])
def test_a_gain_that_no_number_of_questions_detects_is_refused(gain: float) -> None:
    with pytest.raises(ValueError, match="expected a number above 0 and at most 1"):
        of(100, 0.4).needed(gain)


@pytest.mark.parametrize(("samples", "cluster_size"), [(1, 1), (4, 1), (1, 5)])
def test_that_many_questions_find_the_gain_in_80_percent(samples: int, cluster_size: int) -> None:
    pilot = scores(np.random.default_rng(0), [0.85, 0.7], 20_000, samples=samples, cluster_size=cluster_size)
    needed = detectable(pilot[0], pilot[1], clusters_of(20_000, cluster_size)).needed(0.15)
    found = [
        compared(dict(zip("ab", each, strict=True)), [("a", "b")], clusters_of(needed, cluster_size))[0].conclusion
        for seed in range(200)
        for each in [
            scores(np.random.default_rng(seed), [0.85, 0.7], needed, samples=samples, cluster_size=cluster_size)
        ]
    ]
    assert 0.7 < found.count("better") / 200 < 0.9


@given(st.integers(10, 5000), st.floats(0.01, 1.0))
def test_the_detectable_gain_needs_these_questions(questions: int, square: float) -> None:
    found = of(questions, square)
    if found.gain is not None:
        assert found.needed(min(1.0, found.gain)) == pytest.approx(questions, rel=0.01, abs=1)
        more = of(questions * 2, square).gain
        assert more is not None
        assert more <= found.gain
