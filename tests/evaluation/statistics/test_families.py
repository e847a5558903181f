"""Several comparisons: intervals that hold together, Holm's p values, and conclusions."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from moa_mcp.evaluation.statistics import Figure, Floats, compared, paired_gain
from moa_mcp.evaluation.statistics.families import concluded, holm
from tests.support.simulated_scores import scores

LEVEL_OF_5 = 1 - 0.05 / 5


def five(seed: int, gains: tuple[float, ...] = (0.0,) * 5, questions: int = 200) -> dict[str, Floats]:
    found = scores(np.random.default_rng(seed), [0.6, *(0.6 + gain for gain in gains)], questions)
    return dict(zip(("base", *"abcde"), found, strict=True))


def pairs(named: dict[str, Floats]) -> list[tuple[str, str]]:
    return [(name, "base") for name in named if name != "base"]


def test_one_comparison_needs_no_correction() -> None:
    named = five(1, (0.2,) * 5)
    (found,) = compared(named, [("a", "base")])
    alone = paired_gain(named["a"], named["base"])
    assert (found.gain, found.simultaneous, found.adjusted_p) == (alone, alone.mean, alone.p_value)
    assert found.conclusion == "better"


def test_simultaneous_intervals_are_wider_than_single_ones_and_narrower_than_bonferronis() -> None:
    named = five(2)
    for each in compared(named, pairs(named)):
        most = paired_gain(named[each.first], named["base"], level=LEVEL_OF_5).mean
        assert most.low < each.simultaneous.low < each.gain.mean.low
        assert each.gain.mean.high < each.simultaneous.high < most.high


def test_the_same_comparison_five_times_needs_no_correction() -> None:
    named = five(3)
    for each in compared(named, [("a", "base")] * 5):
        assert each.simultaneous.low == pytest.approx(each.gain.mean.low, abs=3e-3)
        assert each.simultaneous.high == pytest.approx(each.gain.mean.high, abs=3e-3)


def test_the_seed_decides_the_draws() -> None:
    named = five(4)
    assert compared(named, pairs(named), seed=1) == compared(named, pairs(named), seed=1)
    assert compared(named, pairs(named), seed=1) != compared(named, pairs(named), seed=2)


def test_a_contestant_without_scores_changes_nothing_for_the_others() -> None:
    named = {**five(5, (0.2,) * 5), "e": np.full(200, np.nan)}
    *others, none = compared(named, pairs(named))
    assert none.conclusion == "undecided"
    assert none.gain.questions == 0
    assert {each.conclusion for each in others} == {"better"}


def test_contestants_without_any_difference_are_undecided() -> None:
    same = np.ones(30)
    found = compared({"base": same, "a": same, "b": same}, [("a", "base"), ("b", "base")])
    assert [(each.conclusion, each.adjusted_p) for each in found] == [("undecided", 1.0)] * 2


def test_no_pairs_have_no_comparisons() -> None:
    assert compared({"base": [1.0]}, []) == ()


@pytest.mark.parametrize(
    ("figure", "p_value", "conclusion"),
    [
        (Figure(0.2, 0.1, 0.3), 0.05, "better"),
        (Figure(0.2, 0.1, 0.3), 0.051, "undecided"),
        (Figure(0.2, 0.0, 0.3), 0.01, "undecided"),
        (Figure(-0.2, -0.3, -0.1), 0.01, "worse"),
        (Figure(0.0, -0.1, 0.1), 0.01, "undecided"),
    ],
)
def test_a_conclusion_needs_interval_and_p_value(figure: Figure, p_value: float, conclusion: str) -> None:
    assert concluded(figure, p_value, 0.95) == conclusion


def test_a_gate_is_passed_by_the_lower_end_of_the_simultaneous_interval() -> None:
    named = five(6, (0.3,) * 5)
    found = compared(named, pairs(named))[0]
    assert found.at_least(0.0)
    assert found.at_least(found.simultaneous.low)
    assert not found.at_least(found.gain.mean.low)


@pytest.mark.parametrize("p_values", [[0.04], [0.01, 0.02, 0.011, 0.9, 0.02], [0.3, 0.2, 0.6, 0.001]])
def test_holms_p_values_are_those_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())
