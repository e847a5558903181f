"""Free baselines against an enumeration of all subsets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.evaluation.statistics import sample_baselines

SAMPLES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=7
)


def elected(scores: Sequence[float], values: Sequence[str | None], chosen: Sequence[int]) -> float:
    """Return the mean score of the most frequent values of some samples."""
    counts = Counter(values[each] for each in chosen if values[each] is not None)
    top = {value for value, count in counts.items() if count == max(counts.values())} or {None}
    return fmean(fmean(score for score, each in zip(scores, values, strict=True) if each == value) for value in top)


@given(SAMPLES)
def test_baselines_are_the_means_over_all_subsets(samples: list[tuple[float, str | None]]) -> None:
    scores, values = zip(*samples, strict=True)
    found = sample_baselines([scores], [values])
    for j in range(1, len(samples) + 1):
        subsets = [*combinations(range(len(samples)), j)]
        assert found.majority[0, j - 1] == pytest.approx(fmean(elected(scores, values, each) for each in subsets))
        assert found.best[0, j - 1] == pytest.approx(fmean(max(scores[i] for i in each) for each in subsets))
    assert found.single[0] == pytest.approx(fmean(scores))
    assert found.majority[0, 0] == pytest.approx(found.single[0])
    assert np.all(np.diff(found.best[0]) >= -1e-12)


def test_questions_may_have_fewer_samples_or_none() -> None:
    found = sample_baselines([[1.0, 1.0, 0.0], [1.0], []], [["a", "a", "b"], ["c"], []])
    assert found.majority == pytest.approx(
        np.array([[2 / 3, 2 / 3, 1], [1, np.nan, np.nan], [np.nan] * 3]), nan_ok=True
    )
    assert found.single == pytest.approx(np.array([2 / 3, 1, np.nan]), nan_ok=True)


def test_a_majority_of_many_samples_is_counted_not_enumerated() -> None:
    found = sample_baselines([[1.0] * 30 + [0.0] * 34], [["right"] * 30 + [str(each % 17) for each in range(34)]])
    assert found.majority[0, 0] == pytest.approx(30 / 64)
    assert found.majority[0, 63] == 1
    assert found.best[0, 40] == pytest.approx(1)


def test_no_questions_have_no_baselines() -> None:
    found = sample_baselines([], [])
    assert (found.single.shape, found.majority.shape) == ((0,), (0, 0))


def test_a_sample_without_a_value_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        sample_baselines([[1.0, 0.0]], [["a"]])
