"""Several comparisons at once: intervals that all hold together, adjusted p values, and a conclusion for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike
from statsmodels.stats.multitest import multipletests

from moa_mcp.evaluation.statistics.arrays import Clusters, checked_level
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.paired import PairedGain, paired_gain

Conclusion = Literal["better", "worse", "undecided"]


@dataclass(frozen=True, slots=True)
class CorrectedGain:
    """A comparison that is one of several."""

    first: str
    second: str
    gain: PairedGain
    """Of `first` over `second`, on its own."""
    simultaneous: Figure
    """The same gain with an interval that holds for all comparisons together."""
    adjusted_p: float
    """Holm's (1979)."""
    conclusion: Conclusion
    """Whether `first` is better or worse: the simultaneous interval excludes 0, and the adjusted p value is at most
    1 - level. Otherwise undecided."""

    def at_least(self, points: float) -> bool:
        """Whether the gain is certainly this or more: the gate of an evaluation. `points` is from -1 to 1."""
        return self.simultaneous.low >= points


def compared(
    scores: Mapping[str, ArrayLike],
    pairs: Iterable[tuple[str, str]],
    clusters: Clusters = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[CorrectedGain, ...]:
    """Compare pairs of contestants, with scores by name as `paired_gain` has them.

    Each comparison uses the questions that both of its contestants have a score for.

    Raises:
        KeyError: a pair names a contestant without scores.
        ValueError: scores, the level or the number of cluster labels are wrong.

    """
    named, level = [*pairs], checked_level(level)
    if not named:
        return ()
    alone = [paired_gain(scores[a], scores[b], clusters, level=level, seed=seed) for a, b in named]
    together = [
        paired_gain(scores[a], scores[b], clusters, level=1 - (1 - level) / len(named), seed=seed) for a, b in named
    ]
    adjusted = multipletests([each.p_value for each in alone], alpha=1 - level, method="holm")[1]
    return tuple(
        CorrectedGain(a, b, gain, wide.mean, float(p), concluded(wide.mean, float(p), level))
        for (a, b), gain, wide, p in zip(named, alone, together, adjusted, strict=True)
    )


def concluded(simultaneous: Figure, adjusted_p: float, level: float) -> Conclusion:
    """Return what can be said of a gain."""
    if not simultaneous.excludes(0.0) or adjusted_p > 1 - level:
        return "undecided"
    return "better" if simultaneous.low > 0 else "worse"
