"""The picture of score against cost: labels that cover nothing, an axis for any costs, and its words."""

from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.evaluation.analysis import analysed
from moa_mcp.evaluation.report.cost_axis import CostAxis
from moa_mcp.evaluation.report.labels import Box, free_place
from moa_mcp.evaluation.report.picture import picture
from moa_mcp.evaluation.report.plotted import content_of, described
from moa_mcp.evaluation.result import EvalSettings, Evaluation
from tests.support.evaluations import BASELINE, PIPELINE, SKILLS, changed, evaluation, failed, judged

COSTS = st.lists(st.none() | st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=12)
ALL_FREE = changed(
    changed(evaluation(9, {"one:a": 0.5, "b": 0.6}), "one:a", 9, cost_usd=Decimal(0)), "b", 9, cost_usd=0
)
HOSTILE = "$x_$ \\frac{1}{0} 漢字 <b>\u202e\x1b[31m\ud800" + "long" * 20


def mixed() -> Evaluation:
    """Return an evaluation with costs that are zero, unknown, partly unknown and far apart."""
    whole = evaluation(50, {**SKILLS, "local": 0.6, "unpriced": 0.8, "partly": 0.75, "cheap": 0.5})
    whole = changed(whole, "local", 50, cost_usd=Decimal(0))
    whole = changed(whole, "unpriced", 50, cost_usd=None, unknown_costs=6)
    whole = changed(whole, "partly", 20, cost_usd=None, unknown_costs=6)
    return changed(whole, "cheap", 50, cost_usd=Decimal("0.00001"))


@pytest.mark.parametrize(
    "whole",
    [
        evaluation(60),
        mixed(),
        ALL_FREE,
        judged(evaluation(60)),
        failed(evaluation(3, {"a": 0.5}), "a", 3),
        evaluation(1, {"a": 1.0}),
        evaluation(0),
        evaluation(20, {f"{number}{HOSTILE}": 1.1 for number in range(12)}),
        evaluation(20, settings=EvalSettings(scoring="number", simulated=True)),
    ],
)
def test_any_evaluation_has_a_picture(whole: Evaluation) -> None:
    drawn = picture(analysed(whole))
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", drawn[16:24]) == (1350, 870)
    assert len(drawn) < 200_000


def test_the_same_evaluation_has_the_same_picture() -> None:
    assert picture(analysed(evaluation(30))) == picture(analysed(evaluation(30)))


def test_the_picture_in_words_has_each_score_with_its_interval_and_cost() -> None:
    words = described(analysed(mixed()))
    assert words.startswith("Score in points against cost for 1,000 questions. one:gpt-5: ")
    assert "unpriced: 86.0 (73.8 to 93.0), cost unknown." in words
    assert "partly: 78.0 (64.8 to 87.2), at least $6.1" in words
    assert "$0, on the frontier." in words


def test_without_scores_the_picture_has_the_win_rates_against_the_only_baseline() -> None:
    content = content_of(analysed(judged(evaluation(60))))
    assert content.measure == f"Win rate against {BASELINE}, percent"
    baseline = content.contestants[0]
    assert (baseline.name, baseline.score, baseline.interval) == (BASELINE, 0.5, None)
    assert content.left_out == ("moa_lite", "majority:self_moa:6", "best_of:self_moa:6")


def test_without_any_figure_the_picture_says_so() -> None:
    assert described(analysed(failed(evaluation(3, {"a": 0.5}), "a", 3))) == "An empty picture: nothing has a score."
    unreadable = judged(evaluation(3, {BASELINE: 0.5, PIPELINE: 0.5}), unreadable=3)
    assert content_of(analysed(unreadable)).contestants == ()


@given(COSTS)
def test_more_expensive_is_never_further_left_and_all_is_on_the_axis(costs: list[float | None]) -> None:
    axis = CostAxis.of(costs)
    known = sorted(each for each in costs if each is not None)
    places = [axis.at(each) for each in known]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in map(axis.at, costs))
    if None in costs:
        assert max(places, default=0) <= axis.end < axis.at(None)
    labels = [label for _, label in axis.ticks]
    assert len(set(labels)) == len(labels) or axis.high - axis.low < 1e-9 * axis.high
    assert not any(label.startswith("-") for label in labels)
    assert all(0 <= place <= 1 for place, _ in axis.ticks)


def test_costs_of_more_than_a_decade_have_a_logarithmic_axis_with_zero_and_unknown_apart() -> None:
    axis = CostAxis.of([0.0, 0.02, 3.0, None])
    assert axis.is_log
    assert axis.at(0.0) < axis.start < axis.at(0.02) < axis.at(3.0) < axis.end < axis.at(None)
    assert [label for _, label in axis.ticks] == [
        *("$0", "$0.0200", "$0.0500", "$0.1000", "$0.2000", "$0.5000", "$1.00", "$2.00", "$5.00", "cost unknown"),
    ]
    assert not CostAxis.of([1.0, 9.0]).is_log


def test_contestants_of_equal_cost_are_moved_apart() -> None:
    places = CostAxis.of([1.0, 1.0, 2.0]).places([1.0, 1.0, 2.0])
    assert places[0] < CostAxis.of([1.0, 1.0, 2.0]).at(1.0) < places[1] < places[2]


POINTS = st.lists(st.tuples(st.floats(100, 1100), st.floats(100, 700)), min_size=1, max_size=12)


@given(POINTS)
def test_twelve_labels_cover_neither_each_other_nor_a_point(points: list[tuple[float, float]]) -> None:
    frame = Box(0, 0, 1200, 800)
    taken = [Box(x - 8, y - 8, x + 8, y + 8) for x, y in points]
    labels: list[Box] = []
    for point in points:
        labels.append(free_place(point, (150, 18), 12, [*taken, *labels], frame))
        assert labels[-1].outside(frame) < 1e-6
        assert sum(map(labels[-1].covered, [*taken, *labels[:-1]])) < 1e-6


def test_a_label_without_a_free_place_covers_as_little_as_it_can() -> None:
    wall = Box(0, 0, 1000, 1000)
    place = free_place((500, 500), (100, 20), 10, [wall], wall)
    assert (place.left, place.bottom) == (510, 490)
