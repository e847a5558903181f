"""Sign-flip permutation test of a mean difference (Fisher 1935), by cluster.

If neither side is better, each cluster's sum of differences could as well have the other sign. All signs are tried
for up to 14 clusters with a difference; beyond, random ones. The same differences in another order, or with the
opposite sign, have the same p value.
"""

from __future__ import annotations

import numpy as np

from moa_mcp.evaluation.statistics.arrays import Floats

_ALL_SIGNS = 14
_DRAWS = 10_000
_CHUNK = 2_000_000
"""Signs at a time."""


def sign_flip_p(sums: Floats, *, seed: int = 0) -> float:
    """Return the two-sided p value for sums of differences, one for each cluster. It is 1 if all are 0."""
    sizes = np.abs(sums[sums != 0]).round(12)
    if not sizes.size:
        return 1.0
    least = abs(float(sums.sum())) - 1e-9 * float(sizes.sum())
    if sizes.size <= _ALL_SIGNS:
        return float(np.mean(np.abs(_all_totals(sizes)) >= least))
    return (1 + int((np.abs(_random_totals(sizes, seed)) >= least).sum())) / (1 + _DRAWS)


def _all_totals(sizes: Floats) -> Floats:
    totals = np.zeros(1)
    for size in np.sort(sizes):
        totals = np.concatenate([totals + size, totals - size])
    return totals


def _random_totals(sizes: Floats, seed: int) -> Floats:
    """Return totals with random signs. How many of equal sizes are positive is one draw."""
    rng = np.random.default_rng(seed)
    values, counts = np.unique(sizes, return_counts=True)
    rows = max(1, _CHUNK // values.size)
    alone, several = counts == 1, counts > 1
    chunks: list[Floats] = []
    for start in range(0, _DRAWS, rows):
        draws = min(rows, _DRAWS - start)
        positive = rng.binomial(counts[several], 0.5, (draws, int(several.sum()))) @ values[several]
        positive = positive + rng.integers(0, 2, (draws, int(alone.sum())), dtype=np.int8) @ values[alone]
        chunks.append(2 * positive - sizes.sum())
    return np.concatenate(chunks)
