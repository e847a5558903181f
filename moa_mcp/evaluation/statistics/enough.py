"""How many questions would show an effect that an interval leaves open.

The distance from a figure to the end of its interval shrinks with the square root of the number of questions.
"""

from __future__ import annotations

from math import ceil

from scipy.special import ndtri

from moa_mcp.evaluation.statistics.arrays import checked_level
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.quantiles import critical


def enough_questions(figure: Figure, questions: int, sought: float, *, level: float, power: float = 0.8) -> int:
    """Return how many questions would find an effect of `sought` with this probability.

    `figure` is that of `questions`, with an interval of `level`; `sought` is a difference above 0, in its unit.

    Raises:
        ValueError: `sought` is not above 0, or a level is not between 0 and 1.

    """
    if not sought > 0:
        raise ValueError(f"sought is {sought:g}; expected a difference above 0")
    errors = critical(checked_level(level))
    error = (figure.high - figure.low) / 2 / errors
    return max(questions, ceil(questions * (error * (errors + float(ndtri(checked_level(power)))) / sought) ** 2))
