from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from statsmodels.genmod.families.family import Family

class GLM:
    def __init__(self, endog: NDArray[np.float64], exog: NDArray[np.float64], *, family: Family) -> None: ...
    def fit(self, *, cov_type: str = "nonrobust", cov_kwds: Mapping[str, object] | None = None) -> GLMResults: ...

class GLMResults:
    params: NDArray[np.float64]
    def cov_params(self) -> NDArray[np.float64]: ...
