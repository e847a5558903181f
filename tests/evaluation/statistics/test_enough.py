"""How many questions would do, against simulations that have them."""

from __future__ import annotations

import numpy as np
import pytest

from moa_mcp.evaluation.statistics import Figure, mean_score
from moa_mcp.evaluation.statistics.enough import enough_questions


def test_half_the_effect_takes_four_times_the_questions() -> None:
    figure = Figure(0.1, -0.1, 0.3)
    once, half = (enough_questions(figure, 100, sought, level=0.95) for sought in (0.1, 0.05))
    assert half == pytest.approx(4 * once, rel=0.01)


def test_a_clear_effect_needs_no_more_than_there_are() -> None:
    assert enough_questions(Figure(0.5, 0.4, 0.6), 100, 0.5, level=0.95) == 100


def test_that_number_finds_the_effect_with_the_power_that_was_asked_for() -> None:
    rng = np.random.default_rng(5)
    small = mean_score((rng.random(40) < 0.6).astype(float)).mean
    needed = enough_questions(small, 40, 0.1, level=0.95)
    found = [mean_score((rng.random(needed) < 0.6).astype(float)).mean.low > 0.5 for _ in range(400)]
    assert 0.7 < np.mean(found) < 0.9


@pytest.mark.parametrize(("sought", "level"), [(0.0, 0.95), (-0.1, 0.95), (0.1, 1.0)])
def test_an_effect_of_nothing_or_a_wrong_level_is_an_error(sought: float, level: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        enough_questions(Figure(0.1, 0.0, 0.2), 50, sought, level=level)
