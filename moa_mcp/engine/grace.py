"""How long a step waits for its last calls by default, from how long the others took. Does not wait itself.

Jobs of many tasks wait for their last few ones, the stragglers (Dean and Ghemawat, MapReduce, OSDI 2004).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from moa_mcp.values import Call

FEWEST = 4
"""Calls of a step from which one may be dropped. Of three, each answer is worth more than the wait."""
_TIMES = 3.0
"""The last calls get this many times as long as the others took, in addition."""
_LEAST_S = 1.5
"""Minimum seconds for the last calls, however fast the others were."""


class LastCalls:
    """The calls of a step whose others have answered."""

    def __init__(self, calls: Sequence[Call], quorum: int) -> None:
        self._reasoning = frozenset(index for index, call in enumerate(calls) if call.reasons)
        self.enough = max(quorum, -(-2 * len(calls) // 3)) if len(calls) >= FEWEST else len(calls) + 1
        """Number of answers after which the other calls are the last ones: two thirds."""

    def awaited_s(self, ended: Collection[int], took_s: float) -> float | None:
        """Return for how many seconds the last calls are awaited; None for as long as they take.

        `ended` has the indexes of the calls that ended, and `took_s` is how long this took. A model that reasons may
        take ten times as long as one that does not. So a call of one is only compared with others that reason.
        """
        if self._reasoning.difference(ended) and not self._reasoning.intersection(ended):
            return None
        return max(_LEAST_S, _TIMES * took_s)
