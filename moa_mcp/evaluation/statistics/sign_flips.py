"""Sign-flip permutation test of a mean difference (Fisher 1935), by cluster.

If neither side is better, each cluster's sum of differences could as well have the other sign. All signs are tried
for up to 14 clusters with a difference; beyond, random ones. The same differences in another order, or with the
opposite sign, have the same p value.
"""

from __future__ import annotations

import numpy as np

from moa_mcp.evaluation.statistics.arrays import Floats

_ALL_SIGNS = 14
_DRAWS = 20_000
_CHUNK = 4_000_000
"""Signs at a time."""


def sign_flip_p(sums: Floats, *, seed: int = 0) -> float:
    """Return the two-sided p value for sums of differences, one for each cluster. It is 1 if all are 0."""
    sizes = np.sort(np.abs(sums[sums != 0]))[::-1]
    if not sizes.size:
        return 1.0
    least = abs(float(sums.sum())) - 1e-9 * float(sizes.sum())
    if sizes.size <= _ALL_SIGNS:
        return float(np.mean(np.abs(_all_totals(sizes)) >= least))
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // sizes.size)
    extreme = 0
    for start in range(0, _DRAWS, rows):
        flips = rng.integers(0, 2, (min(rows, _DRAWS - start), sizes.size), dtype=np.int8)
        totals = sizes.sum() - 2 * (flips.astype(np.float64) @ sizes)
        extreme += int(np.count_nonzero(np.abs(totals) >= least))
    return (1 + extreme) / (1 + _DRAWS)


def _all_totals(sizes: Floats) -> Floats:
    totals = np.zeros(1)
    for size in sizes:
        totals = np.concatenate([totals + size, totals - size])
    return totals
