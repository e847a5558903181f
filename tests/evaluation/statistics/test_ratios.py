"""The share of a sum, such as of the cost of runs, and its interval."""

from __future__ import annotations

import numpy as np
import pytest

from moa_mcp.evaluation.statistics.ratios import share_of_sum


def test_the_share_is_that_of_the_sums_and_not_the_mean_of_shares() -> None:
    share = share_of_sum([1.0, 1.0, 1.0], [1.0, 1.0, 8.0])
    assert share.value == pytest.approx(0.3)
    assert 0 <= share.low < 0.3 < share.high <= 1


def test_the_interval_has_the_true_share_about_as_often_as_its_level_says() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        totals = rng.gamma(2.0, 1.0, 40)
        share = share_of_sum(totals * rng.beta(3.0, 7.0, 40), totals)
        held += share.low <= 0.3 <= share.high
    assert 0.91 <= held / 400 <= 0.985


def test_one_run_says_nothing_about_others() -> None:
    assert (share_of_sum([1.0], [4.0]).low, share_of_sum([1.0], [4.0]).high) == (0, 1)
    assert share_of_sum([1.0, 0.0], [4.0, 0.0]).high == 1


def test_totals_of_zero_have_no_shares() -> None:
    with pytest.raises(ValueError, match="sum up to 0"):
        share_of_sum([0.0, 0.0], [0.0, 0.0])
