from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

class OptimizeResult:
    x: NDArray[np.float64]

def brentq(f: Callable[[float], float], a: float, b: float) -> float: ...
def isotonic_regression(y: NDArray[np.float64], *, weights: NDArray[np.float64] | None = None) -> OptimizeResult: ...
