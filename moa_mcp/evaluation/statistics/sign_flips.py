"""Sign-flip permutation test of a mean difference (Fisher 1935), by cluster.

If neither side is better, each cluster's sum of differences could as well have the other sign. All signs are tried
for up to 14 clusters with a difference; beyond, random ones, until enough of them are as extreme to say that the
result is not rare (Besag and Clifford 1991, doi:10.1093/biomet/78.2.301). The same differences in another order, or
with the opposite sign, have the same p value.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from moa_mcp.evaluation.statistics.arrays import Floats

_ALL_SIGNS = 14
_MOST_DRAWS = 10_000
_ENOUGH = 200
_DRAWS = 1000
"""At a time, of up to `_SIGNS` signs."""
_SIGNS = 2_000_000


def sign_flip_p(sums: Floats, *, seed: int = 0) -> float:
    """Return the two-sided p value for sums of differences, one for each cluster. It is 1 if all are 0."""
    sizes = np.abs(sums[sums != 0]).round(12)
    if not sizes.size:
        return 1.0
    least = abs(float(sums.sum())) - 1e-9 * float(sizes.sum())
    if sizes.size <= _ALL_SIGNS:
        return float(np.mean(np.abs(_all_totals(sizes)) >= least))
    extreme = draws = 0
    for totals in _random_totals(sizes, seed):
        extreme, draws = extreme + int((np.abs(totals) >= least).sum()), draws + len(totals)
        if extreme >= _ENOUGH or draws >= _MOST_DRAWS:
            break
    return (1 + extreme) / (1 + draws)


def _all_totals(sizes: Floats) -> Floats:
    totals = np.zeros(1)
    for size in np.sort(sizes):
        totals = np.concatenate([totals + size, totals - size])
    return totals


def _random_totals(sizes: Floats, seed: int) -> Iterator[Floats]:
    """Yield totals with random signs without end. How many of equal sizes are positive is one draw."""
    rng = np.random.default_rng(seed)
    values, counts = np.unique(sizes, return_counts=True)
    draws = max(1, min(_DRAWS, _SIGNS // values.size))
    alone, several = counts == 1, counts > 1
    while True:
        positive = rng.binomial(counts[several], 0.5, (draws, int(several.sum()))) @ values[several]
        positive = positive + rng.integers(0, 2, (draws, int(alone.sum())), dtype=np.int8) @ values[alone]
        yield 2 * positive - sizes.sum()
