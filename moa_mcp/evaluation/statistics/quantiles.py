"""How many standard errors an interval extends to each side."""

from __future__ import annotations

from math import inf

from scipy.special import stdtrit

_MOST = 30.0
"""Beyond, an interval has all values anyway."""


def critical(level: float, freedom: float = inf) -> float:
    """Return it for standard errors with these degrees of freedom; infinite for the normal distribution."""
    return min(float(stdtrit(freedom, 0.5 + level / 2)), _MOST)
