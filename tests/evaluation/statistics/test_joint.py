"""Errors of members together, oracles and aggregators."""

from __future__ import annotations

from math import log, sqrt, tanh

import numpy as np
import pytest

from moa_mcp.evaluation.statistics import aggregator_efficiency, joint_errors, oracle_rate, wilson
from tests.support.simulated_scores import clusters_of, scores


def table(both_right: int, only_first: int, only_second: int, both_wrong: int) -> dict[str, list[float]]:
    return {
        "a": [1.0] * (both_right + only_first) + [0.0] * (only_second + both_wrong),
        "b": [1.0] * both_right + [0.0] * only_first + [1.0] * only_second + [0.0] * both_wrong,
    }


def test_errors_are_counted_and_compared_with_independent_ones() -> None:
    (found,) = joint_errors(table(60, 10, 20, 10))
    assert (found.first, found.second, found.questions) == ("a", "b", 100)
    assert (found.only_first_right, found.only_second_right) == (10, 20)
    assert [found.both_wrong.low, found.both_wrong.high] == pytest.approx([wilson(0.1, 100).low, wilson(0.1, 100).high])
    assert found.if_independent == pytest.approx(0.3 * 0.2)


def test_yules_q_has_the_interval_of_the_log_odds_ratio() -> None:
    figure = joint_errors(table(60, 10, 20, 10))[0].association
    assert figure is not None
    middle = log(60.5 * 10.5 / (10.5 * 20.5))
    error = 1.959964 * sqrt(1 / 60.5 + 1 / 10.5 + 1 / 20.5 + 1 / 10.5)
    assert (figure.value, figure.low, figure.high) == pytest.approx(
        (tanh(middle / 2), tanh((middle - error) / 2), tanh((middle + error) / 2))
    )


def test_every_two_members_are_compared_on_their_common_questions() -> None:
    found = joint_errors({"a": [1, 0, np.nan, 1], "b": [1, 1, 0, 0], "c": [np.nan] * 4})
    assert [(each.first, each.second, each.questions) for each in found] == [
        ("a", "b", 3),
        ("a", "c", 0),
        ("b", "c", 0),
    ]
    assert np.isnan(found[1].if_independent)
    assert found[1].association is None


def test_a_member_that_is_always_right_has_no_association() -> None:
    assert joint_errors({"a": [1, 1, 1], "b": [1, 0, 1]})[0].association is None


def test_no_members_have_no_pairs() -> None:
    assert joint_errors({}) == ()


def test_scores_between_right_and_wrong_are_refused() -> None:
    with pytest.raises(ValueError, match="a score is between 0 and 1"):
        joint_errors({"a": [1.0, 0.5], "b": [0.0, 1.0]})


def test_clusters_widen_the_association() -> None:
    named = {"a": np.repeat([1.0, 0, 1, 0, 1, 1, 0, 1], 5), "b": np.repeat([1.0, 0, 0, 0, 1, 1, 1, 1], 5)}
    alone, together = (joint_errors(named, each)[0].association for each in (None, np.repeat(np.arange(8), 5).tolist()))
    assert alone is not None
    assert together is not None
    assert together.high - together.low > alone.high - alone.low


def test_the_oracle_is_right_where_some_member_is() -> None:
    assert oracle_rate([[1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, np.nan]]) == wilson(2 / 3, 3)


def test_efficiency_is_0_for_the_mean_member_and_1_for_the_oracle() -> None:
    members = scores(np.random.default_rng(1), [0.6, 0.7, 0.8], 200)
    for aggregate, value in [(members.mean(axis=0), 0.0), (members.max(axis=0), 1.0)]:
        figure = aggregator_efficiency(aggregate, [*members])
        assert figure is not None
        assert figure.value == pytest.approx(value)
        assert (
            figure.low < value < figure.high
            or figure.low == pytest.approx(value)
            or figure.high == pytest.approx(value)
        )


def test_an_aggregator_that_is_worse_than_its_members_has_a_negative_efficiency() -> None:
    members = scores(np.random.default_rng(2), [0.7, 0.7], 400)
    figure = aggregator_efficiency(members.min(axis=0), [*members], clusters_of(400, 5))
    assert figure is not None
    assert figure.high < 0


@pytest.mark.parametrize(
    ("members", "clusters"),
    [
        ([[1, 0, 1, 1], [1, 0, 1, 1]], None),
        ([[1, 1, 0, 1], [1, 0, 1, 1]], None),
        ([[1, 0] * 30, [0, 1] * 30], [1] * 60),
        ([[np.nan] * 4] * 2, None),
    ],
    ids=["members that never differ", "few questions", "one cluster", "no scores"],
)
def test_an_oracle_that_may_be_no_better_than_the_members_leaves_no_efficiency(
    members: list[list[float]], clusters: list[int] | None
) -> None:
    assert aggregator_efficiency([1.0] * len(members[0]), members, clusters) is None


def test_without_members_there_is_no_oracle() -> None:
    with pytest.raises(ValueError, match="members is empty"):
        oracle_rate([])
