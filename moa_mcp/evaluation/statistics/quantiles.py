"""Critical values of the normal and of Student's t distribution."""

from __future__ import annotations

from scipy.special import ndtri, stdtr, stdtrit


def critical_z(level: float) -> float:
    """Return how many standard errors an interval of this level extends to each side."""
    return float(ndtri(0.5 + level / 2))


def critical_t(level: float, freedom: float) -> float:
    """Return the same for a standard error that was estimated with these degrees of freedom."""
    return float(stdtrit(freedom, 0.5 + level / 2))


def level_of_t(critical: float, freedom: float) -> float:
    """Return the level of an interval of this many standard errors to each side."""
    return float(1 - 2 * stdtr(freedom, -critical))
