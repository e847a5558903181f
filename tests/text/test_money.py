"""Amounts of money as people read them: the same everywhere, and never nothing for what is not nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.text.money import dollars


@pytest.mark.parametrize(
    ("cost", "shown"),
    [
        (None, "unknown"),
        ("0", "$0"),
        ("0.0000004", "<$0.000001"),
        ("0.000004", "$0.000004"),
        ("0.0099999", "$0.010000"),
        ("0.01", "$0.0100"),
        ("0.7", "$0.7000"),
        ("1", "$1.00"),
        ("1.004", "$1.0040"),
        ("2.00001", "$2.00"),
        ("60.5", "$60.50"),
    ],
)
def test_an_amount_has_as_many_digits_as_it_needs(cost: str | None, shown: str) -> None:
    assert dollars(None if cost is None else Decimal(cost)) == shown


@given(st.decimals(0, 1000, allow_nan=False, places=9))
def test_no_cost_is_shown_as_nothing_unless_it_is_nothing(cost: Decimal) -> None:
    assert any(digit in dollars(cost) for digit in "123456789") == (cost > 0)
