"""Agreement against accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from moa_mcp.evaluation.statistics import agreement_calibration, wilson


def test_each_level_of_agreement_has_its_accuracy_with_wilsons_interval() -> None:
    agreement = [1 / 3] * 4 + [2 / 3] * 6 + [1.0] * 10
    found = agreement_calibration(agreement, [1, 0, 0, 0, 1, 1, 1, 0, 0, 0, *[1] * 9, 0])
    assert [(each.questions, each.right) for each in found.levels] == [(4, 1), (6, 3), (10, 9)]
    assert [each.accuracy for each in found.levels] == [wilson(0.25, 4), wilson(0.5, 6), wilson(0.9, 10)]
    assert found.expected_error == pytest.approx((4 * (1 / 3 - 1 / 4) + 6 * (2 / 3 - 1 / 2) + 10 * 0.1) / 20)


def test_the_monotone_fit_never_falls() -> None:
    found = agreement_calibration(
        [0.5] * 10 + [0.75] * 10 + [1.0] * 10, [1] * 7 + [0] * 3 + [1] * 5 + [0] * 5 + [1] * 10
    )
    assert [each.monotone for each in found.levels] == pytest.approx([0.6, 0.6, 1.0])


def test_clusters_widen_the_interval_of_a_level() -> None:
    agreement, right = np.ones(40), np.repeat([1, 0, 1, 1, 1, 0, 1, 1], 5)
    alone = agreement_calibration(agreement, right).levels[0].accuracy
    together = agreement_calibration(agreement, right, np.repeat(np.arange(8), 5).tolist()).levels[0].accuracy
    assert together.low < alone.low


def test_a_question_without_agreement_or_score_is_left_out() -> None:
    found = agreement_calibration([1.0, np.nan, 1.0], [1.0, 1.0, np.nan])
    assert [each.questions for each in found.levels] == [1]


def test_no_questions_have_no_levels() -> None:
    found = agreement_calibration([], [])
    assert found.levels == ()
    assert np.isnan(found.expected_error)
