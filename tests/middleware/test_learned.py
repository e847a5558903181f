"""Bounds that a provider states for a parameter: the one that explains the rejection is kept."""

from __future__ import annotations

import pytest

from moa_mcp.errors import Bounds, ParameterRefused
from moa_mcp.middleware.learned import RefusedParameters


def refused(*bounds: Bounds) -> ParameterRefused:
    return ParameterRefused("out of range", parameter="top_k", reason="value", bounds=bounds)


@pytest.mark.parametrize(
    ("bounds", "asked", "sent"),
    [
        ((Bounds(9.0, 3.0), Bounds(None, 40.0)), 90, 40),
        ((Bounds(None, 200.0), Bounds(5.0, None)), 2, 5),
    ],
)
def test_a_bound_that_can_not_be_meant_is_passed_over(bounds: tuple[Bounds, ...], asked: int, sent: int) -> None:
    known = RefusedParameters()
    assert known.learn(refused(*bounds), {"top_k": asked}, 0.0)
    assert known.adapt("m", {"top_k": asked}).parameters == {"top_k": sent}


def test_a_value_within_all_bounds_that_is_refused_is_left_out() -> None:
    known = RefusedParameters()
    assert known.learn(refused(Bounds(1.0, 100.0)), {"top_k": 50}, 0.0)
    assert known.adapt("m", {"top_k": 50}).parameters == {}
