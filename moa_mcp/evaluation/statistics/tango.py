"""The score interval of Tango (1998) for the difference of two paired proportions.

Tango, Statistics in Medicine 17: 891-908. Of the intervals that Fagerland, Lydersen and Laake (2014,
doi:10.1002/sim.6148) compare, it keeps closest to its level; it has a width also where no question differs.
"""

from __future__ import annotations

from math import sqrt

from scipy.optimize import brentq

_EDGE = 1 - 1e-9


def tango(won: float, lost: float, questions: float, critical: float) -> tuple[float, float]:
    """Return the interval of (won - lost) / questions, with `critical` standard errors to each side.

    The counts may be fractions, as effective numbers are.
    """
    return -_upper(lost, won, questions, critical), _upper(won, lost, questions, critical)


def _upper(won: float, lost: float, questions: float, critical: float) -> float:
    def excess(difference: float) -> float:
        return _score(won, lost, questions, difference) + critical

    observed = (won - lost) / questions
    if observed >= _EDGE or excess(_EDGE) >= 0:
        return 1.0
    return float(brentq(excess, observed, _EDGE))


def _score(won: float, lost: float, questions: float, difference: float) -> float:
    """Return how many standard errors the observed difference is above a true one."""
    b = (2 * questions - won + lost) * difference - won - lost
    c = -lost * difference * (1 - difference)
    only_second = (sqrt(max(0.0, b * b - 8 * questions * c)) - b) / (4 * questions)
    variance = questions * (2 * only_second + difference * (1 - difference))
    return (won - lost - questions * difference) / sqrt(max(variance, 1e-12))
