from collections.abc import Sequence

class Line2D:
    def __init__(
        self,
        xdata: Sequence[float],
        ydata: Sequence[float],
        *,
        linewidth: float | None = None,
        linestyle: str | None = None,
        color: str | None = None,
        marker: str | None = None,
        mfc: str | None = None,
        mec: str | None = None,
        label: str = "",
        zorder: float = 2,
    ) -> None: ...
