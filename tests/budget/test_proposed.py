"""The budget that a first configuration gets."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.budget.proposed import ProposedBudget, proposed
from moa_mcp.values import Dollars

AMOUNTS = st.decimals("0.000001", "500", places=6)


@pytest.mark.parametrize(
    ("expected", "most", "cap", "confirmed"),
    [
        ("0.0407", "0.1149", "0.2", "0.1"),
        ("0.0513", "0.1448", "0.5", "0.2"),
        ("0.01", "0.3", "0.5", "0.2"),
        ("0.0001", "0.0003", "0.05", "0.02"),
        ("0.25", "0.5", "1", "0.5"),
        ("30", "100", "200", "100"),
    ],
)
def test_the_cap_is_a_round_amount_of_a_few_usual_questions(expected: str, most: str, cap: str, confirmed: str) -> None:
    cost = Dollars(Decimal(0), Decimal(expected), Decimal(most))
    assert proposed(cost) == ProposedBudget(Decimal(cap), Decimal(confirmed))


@given(expected=AMOUNTS, rest=AMOUNTS)
def test_a_usual_question_fits_in_the_cap_and_needs_no_confirmation(expected: Decimal, rest: Decimal) -> None:
    budget = proposed(Dollars(Decimal(0), expected, expected + rest))
    assert budget.confirm_above_usd is not None
    assert expected < budget.confirm_above_usd < budget.max_cost_usd
    assert max(4 * expected, expected + rest) <= budget.max_cost_usd < budget.max_cost_usd_per_day


@given(cap=AMOUNTS, expected=AMOUNTS)
def test_a_cap_of_the_user_is_kept(cap: Decimal, expected: Decimal) -> None:
    budget = proposed(Dollars(Decimal(0), expected, expected), cap)
    assert budget.max_cost_usd == cap
    assert budget.confirm_above_usd is None or expected < budget.confirm_above_usd < cap


def test_without_a_price_every_run_would_need_a_confirmation_so_none_does() -> None:
    assert proposed(None) == ProposedBudget(Decimal("0.50"), None)
    assert proposed(None, Decimal(3)) == ProposedBudget(Decimal(3), None)
