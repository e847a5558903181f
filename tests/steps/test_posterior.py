"""When a value is probably the most frequent one."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_mcp.steps.posterior import Groups, groups, probability
from moa_mcp.testing import ScriptedModel, run_pipeline
from tests.support.tables import XY, faults, pipe, steps

pytestmark = pytest.mark.anyio

VOTES = st.integers(0, 12)


def exact(first: int, second: int, others: int) -> Fraction:
    """Return P(p1 > p2 and p1 > p3) for Dirichlet shares, by integrating the density of the largest share exactly.

    The density of three gamma variables is expanded on the region x > y, x > z by substituting y = x u and z = x v.
    """
    b, c = second, others
    total = Fraction(0)
    for i, j in product(range(b + 1), range(c + 1)):  # the incomplete gamma functions of whole orders
        total += Fraction(_moment(first, i + j, 3), factorial(i) * factorial(j))
    for i in range(b + 1):
        total -= Fraction(_moment(first, i, 2), factorial(i))
    for j in range(c + 1):
        total -= Fraction(_moment(first, j, 2), factorial(j))
    return 1 + total


def _moment(first: int, more: int, rate: int) -> Fraction:
    """Return the integral of x^(first + more) e^(-rate x) / first!."""
    return Fraction(factorial(first + more), factorial(first) * rate ** (first + more + 1))


@pytest.mark.parametrize(
    ("counted", "value"),
    [
        ((0, 0, 0), Fraction(1, 3)),  # by symmetry
        ((1, 0, 0), Fraction(11, 18)),  # E[(1 - e^-X)^2] for X ~ Gamma(2): 1 - 2/4 + 1/9
        ((2, 0, 0), 1 - Fraction(2, 8) + Fraction(1, 27)),
    ],
)
def test_small_cases_are_those_computed_by_hand(counted: tuple[int, int, int], value: Fraction) -> None:
    assert exact(*counted) == value
    assert probability(Groups(*counted)) == pytest.approx(float(value), abs=1e-12)


@settings(max_examples=60)
@given(VOTES, VOTES, VOTES)
def test_the_probability_is_that_of_exact_arithmetic(first: int, second: int, others: int) -> None:
    assert probability(Groups(first, second, others)) == pytest.approx(float(exact(first, second, others)), abs=1e-9)


@given(VOTES, VOTES, VOTES)
def test_the_three_groups_share_one_and_a_vote_helps_its_group(first: int, second: int, others: int) -> None:
    each = [
        probability(Groups(*order))
        for order in ((first, second, others), (second, others, first), (others, first, second))
    ]
    assert sum(each) == pytest.approx(1)
    assert probability(Groups(first + 1, second, others)) > each[0] > probability(Groups(first, second + 1, others))


def test_it_holds_for_two_equal_groups_and_many_votes() -> None:
    assert probability(Groups(500, 500, 0)) == pytest.approx(0.5, abs=0.01)
    assert probability(Groups(900, 100, 0)) == pytest.approx(1)


def test_the_groups_are_the_leader_the_second_and_all_others() -> None:
    assert groups(["a", "b", None, "a", "c", "c", "a", "d"]) == Groups(3, 2, 2)
    assert groups([None]) == Groups(0, 0, 0)


async def test_a_posterior_stops_the_calls_when_it_is_reached() -> None:
    sampled = 'agents = [{ model = "a", samples = 9 }], stop = { posterior = 0.94, extract = "last_number" }'
    vote = '{ step = "vote", method = "majority", extract = "last_number" }'
    pipeline = steps(f'{{ step = "propose", {sampled} }}', vote)
    trace = await run_pipeline(pipeline, "Why?", ScriptedModel(otherwise="7"))
    (note,) = trace.steps[0].notes
    assert note.text == "stopped after 4 of 9 calls: '7' is the most frequent with probability 0.942; 5 calls saved"
    one_differs = ScriptedModel(otherwise=lambda call: "8" if call.place.number == 2 else "7")
    trace = await run_pipeline(pipeline, "Why?", one_differs)
    assert (len(one_differs.calls), trace.answer) == (7, "7")
    assert probability(Groups(6, 1, 0)) >= 0.94 > probability(Groups(5, 1, 0))


@pytest.mark.parametrize(
    ("stop", "fault"),
    [
        ("posterior = 0.99", "stop: posterior = 0.99 can't be reached with 2 calls"),
        ("posterior = 0.3", "stop.posterior: 0.3 should be at least 0.5"),
        ("posterior = 0.9, ahead_by = 1", "stop.posterior: 0.9 can't be combined with ahead_by; remove one of them"),
        ('extract = "text"', "stop.posterior: is missing; set ahead_by or posterior"),
    ],
)
def test_a_faulty_posterior(stop: str, fault: str) -> None:
    propose = f"{XY[:-1]}, stop = {{ {stop} }} }}"
    assert faults(pipe(propose, '{ step = "aggregate", agent = "openai/z" }')) == [f"pipelines.p, step 1, {fault}"]
