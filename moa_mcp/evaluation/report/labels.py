"""Places for the labels of points, so that they cover neither each other nor what is drawn. Plain geometry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import cos, pi, sin
from typing import NamedTuple

_RINGS = (0.0, 14.0, 30.0, 50.0, 75.0, 105.0, 140.0)
"""Distances from a point to its label, beyond the least one."""
_DIRECTIONS = 16
_COVERED = 1000.0
"""How bad it is to cover one square pixel, in pixels of distance."""


class Box(NamedTuple):
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    def covered(self, other: Box) -> float:
        """Return the area that both have."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def outside(self, other: Box) -> float:
        """Return the area of this rectangle that the other one does not have."""
        return (self.right - self.left) * (self.top - self.bottom) - self.covered(other)


def free_place(
    point: tuple[float, float], size: tuple[float, float], least: float, obstacles: Sequence[Box], within: Box
) -> Box:
    """Return the place of a label of this size, as near to its point as the obstacles allow.

    `least` is the least distance from the point. A label is outside of `within`, or covers an obstacle, only if no
    place is free.
    """
    places = [*_places(point, size, least)]
    costs = [_cost(place, distance, obstacles, within) for place, distance in places]
    return places[costs.index(min(costs))][0]


def _cost(place: Box, distance: float, obstacles: Iterable[Box], within: Box) -> float:
    covered = sum(map(place.covered, obstacles)) + place.outside(within)
    return _COVERED * round(covered, 6) + distance


def _places(point: tuple[float, float], size: tuple[float, float], least: float) -> Iterator[tuple[Box, float]]:
    """Yield places around a point with their distances, first on its right, left, above and below."""
    x, y = point
    width, height = size
    for ring in _RINGS:
        for step in sorted(range(_DIRECTIONS), key=lambda each: (each % 4 != 0, each % 8 != 0, each)):
            angle = 2 * pi * step / _DIRECTIONS
            away = least + ring
            across, up = cos(angle), sin(angle)
            centre_x = x + across * away + width / 2 * _side(across)
            centre_y = y + up * away + height / 2 * _side(up)
            box = Box(centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
            yield box, away + (0.0 if step % 4 == 0 else least / 2)


def _side(direction: float) -> float:
    return 0.0 if abs(direction) < 1e-9 else 1.0 if direction > 0 else -1.0  # noqa: PLR2004  rounding of the cosine
