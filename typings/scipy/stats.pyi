from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

class BinomTestResult:
    pvalue: float

class PermutationTestResult:
    pvalue: float

def binomtest(k: int, n: int, p: float = 0.5) -> BinomTestResult: ...
def permutation_test(
    data: tuple[NDArray[np.float64]],
    statistic: Callable[..., NDArray[np.float64]],
    *,
    permutation_type: str,
    n_resamples: float,
    vectorized: bool | None = None,
    axis: int = 0,
    rng: int | None = None,
) -> PermutationTestResult: ...
