"""Whether intervals and conclusions hold, on simulated evaluations; `benchmarks/interval_coverage.py` has more."""

from __future__ import annotations

import numpy as np
import pytest

from moa_mcp.evaluation.statistics import Floats, compared, joint_errors, mean_score, paired_gain
from tests.support.simulated_scores import answers, clusters_of, scores

SIMULATED = 200
SETTINGS = pytest.mark.parametrize(("samples", "cluster_size"), [(1, 1), (4, 1), (1, 5), (4, 5)])
PAIRS = [(str(number), "0") for number in range(1, 6)]


def evaluations(competences: list[float], questions: int, samples: int, cluster_size: int) -> list[Floats]:
    rng = np.random.default_rng(20)
    return [scores(rng, competences, questions, samples=samples, cluster_size=cluster_size) for _ in range(SIMULATED)]


@SETTINGS
def test_intervals_have_the_truth_in_95_percent(samples: int, cluster_size: int) -> None:
    clusters = clusters_of(100, cluster_size)
    found = evaluations([0.8, 0.7, 0.75], 100, samples, cluster_size)
    gains = [paired_gain(one, two, clusters).mean for one, two, _ in found]
    means = [mean_score(each, clusters).mean for _, _, each in found]
    assert 0.93 <= np.mean([not each.excludes(0.1) for each in gains]) <= 0.98
    assert 0.93 <= np.mean([not each.excludes(0.75) for each in means]) <= 0.98


@pytest.mark.parametrize(("samples", "cluster_size"), [(1, 1), (4, 5)])
def test_equals_of_the_baseline_are_called_better_and_pass_a_gate_in_at_most_5_percent(
    samples: int, cluster_size: int
) -> None:
    found = [
        compared({str(number): each for number, each in enumerate(named)}, PAIRS, clusters_of(60, cluster_size))
        for named in evaluations([0.7] * 6, 60, samples, cluster_size)
    ]
    assert np.mean([any(each.conclusion == "better" for each in gains) for gains in found]) <= 0.05
    assert np.mean([any(each.at_least(0.0) for each in gains) for gains in found]) <= 0.05
    assert np.mean([gains[0].gain.p_value <= 0.05 for gains in found]) <= 0.08


@pytest.mark.parametrize("questions", [20, 30, 100])
def test_a_single_answer_as_good_as_the_mean_of_six_is_called_better_in_at_most_5_percent(questions: int) -> None:
    rng = np.random.default_rng(20)
    drawn = [answers(rng, 0.9, 7, questions) for _ in range(400)]
    found = [compared({"p": each[0], "one": each[1:].mean(axis=0)}, [("p", "one")])[0] for each in drawn]
    assert np.mean([each.conclusion == "better" for each in found]) <= 0.05
    assert np.mean([each.at_least(0.0) for each in found]) <= 0.05
    assert np.mean([not each.gain.mean.excludes(0.0) for each in found]) >= 0.93


def test_independent_errors_of_members_are_not_found_to_go_together() -> None:
    rng = np.random.default_rng(3)
    drawn = [(rng.random((2, 100)) < 0.8).astype(float) for _ in range(SIMULATED)]
    found = [joint_errors({"a": one, "b": two})[0].association for one, two in drawn]
    assert np.mean([each is not None and not each.excludes(0) for each in found]) >= 0.93
