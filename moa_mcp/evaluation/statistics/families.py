"""Several comparisons at once: intervals that all hold together, adjusted p values, and a conclusion for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import ndtr

from moa_mcp.evaluation.statistics.arrays import Clusters, Floats, checked_level
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.paired import Differences, PairedGain

Conclusion = Literal["better", "worse", "undecided"]
_DRAWS = 20_000
_CHUNK = 2_000_000


class CorrectedGain(Struct, frozen=True):
    """A gain that is one of several."""

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
        """Whether the whole simultaneous interval is at or above this, from -1 to 1: the gate of an evaluation."""
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
    differences = [Differences.between(scores[first], scores[second], clusters) for first, second in named]
    gains = [each.gain(level, seed=seed) for each in differences]
    together = simultaneous_level(differences, level, seed)
    wide = [each.figure(together) for each in differences]
    adjusted = holm([each.p_value for each in gains])
    return tuple(
        CorrectedGain(first, second, gain, figure, p, concluded(figure, p, level))
        for (first, second), gain, figure, p in zip(named, gains, wide, adjusted, strict=True)
    )


def concluded(simultaneous: Figure, adjusted_p: float, level: float) -> Conclusion:
    """Return what can be said of a gain."""
    if not simultaneous.excludes(0.0) or adjusted_p > 1 - level:
        return "undecided"
    return "better" if simultaneous.low > 0 else "worse"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted by Holm's method (1979), in the same order.

    statsmodels has it too, but collects all garbage of the process with each call.
    """
    order = np.argsort(p_values, kind="stable")
    ascending = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(ascending))
    return [float(each) for each in adjusted]


def simultaneous_level(differences: Sequence[Differences], level: float, seed: int = 0) -> float:
    """Return the level that each interval must have, so that all hold together with `level`.

    The greatest of several correlated deviations (Hothorn, Bretz and Westfall 2008, doi:10.1002/bimj.200810425), from
    random draws with the correlation of the gains. It is never more than Bonferroni's.
    """
    most = 1 - (1 - level) / len(differences)
    if len(differences) == 1:
        return most
    rng, root = np.random.default_rng(seed), _square_root(_correlation(differences))
    rows = max(1, _CHUNK // len(differences))
    sizes = [min(rows, _DRAWS - start) for start in range(0, _DRAWS, rows)]
    greatest = [np.abs(_correlated(rng, root, size)).max(axis=1) for size in sizes]
    deviation = float(np.quantile(np.concatenate(greatest), level))
    return min(most, max(level, 1 - 2 * float(ndtr(-deviation))))


def _correlated(rng: np.random.Generator, root: Floats, draws: int) -> Floats:
    """Return standard normal draws with the correlation. Threads of a BLAS would take longer for so little."""
    drawn: Floats = np.einsum("ij,jk->ik", rng.standard_normal((draws, len(root))), root)
    return drawn


def _correlation(differences: Sequence[Differences]) -> Floats:
    """Return how the gains correlate; one without any difference does not."""
    centred = np.stack([each.centred_sums for each in differences], axis=1)
    lengths = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(lengths > 0, lengths, 1.0)
    correlation = np.asarray(scaled.T @ scaled, dtype=np.float64)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _square_root(correlation: Floats) -> Floats:
    """Return the symmetric square root, which does not depend on the order of questions."""
    values, vectors = np.linalg.eigh(correlation)
    root: Floats = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
