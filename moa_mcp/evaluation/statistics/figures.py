"""A figure with its interval. It knows nothing of how either was computed."""

from __future__ import annotations

from msgspec import Struct


class Figure(Struct, frozen=True):
    """A value with the interval that has the true one at the level asked for."""

    value: float
    low: float
    high: float

    def mapped(self, shift: float = 0.0, scale: float = 1.0) -> Figure:
        """Return it in another unit: `scale` times itself, plus `shift`."""
        ends = sorted((shift + scale * self.low, shift + scale * self.high))
        return Figure(shift + scale * self.value, *ends)

    def excludes(self, value: float) -> bool:
        """Whether a value is outside the interval."""
        return not self.low <= value <= self.high
