"""The score of each contestant against its cost, as a picture. The only module that imports Matplotlib.

The colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart; each kind has its
own marker too.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import hypot
from typing import NamedTuple, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from moa_mcp.evaluation.report.cost_axis import CostAxis
from moa_mcp.evaluation.report.labels import Box, free_place
from moa_mcp.evaluation.report.plotted import PictureContent, Plotted, content_of
from moa_mcp.evaluation.result import ContestantKind, Evaluation
from moa_mcp.text.visible import visible

_INCHES = (9.0, 5.8)
_DPI = 150
_LONGEST = 30
"""Characters of a name."""
_GREY, _LIGHT = "#595959", "#8c8c8c"
_STYLE = {"text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False}
_MARKER = 8.0
_FAR = 1.4
"""Distance of a label from its point, in least distances, beyond which a line leads to it."""
_MOST_TICKS = 7


_Point: TypeAlias = "tuple[Plotted, float]"
"""A contestant, and its place on the axis of costs."""
_Corner: TypeAlias = "tuple[float, float]"
"""A place on the axis of costs, and a score in points."""


class _Look(NamedTuple):
    marker: str
    colour: str
    name: str


_LOOKS: dict[ContestantKind, _Look] = {
    "pipeline": _Look("o", "#0072B2", "pipeline"),
    "model": _Look("s", "#D55E00", "one call"),
    "majority": _Look("^", "#009E73", "majority of samples"),
    "best_of": _Look("D", "#CC79A7", "best of samples (upper bound)"),
}


def picture(evaluation: Evaluation) -> bytes:
    """Return a PNG file of an analysed evaluation."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports the first use of its font cache
    content = content_of(evaluation)
    usual = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    with mpl.rc_context({**usual, **_STYLE}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # a name in another script
        file = io.BytesIO()
        _drawn(content).savefig(file, format="png", dpi=_DPI)
        return file.getvalue()


def _drawn(content: PictureContent) -> Figure:
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_ylabel(f"{_short(content.measure, 60)} (95 % interval)")
    if content.simulated:
        axes.set_title("Simulated models: these figures mean nothing for real models", color="#B00020", loc="left")
    axis = CostAxis.of(each.usd_per_1000 for each in content.contestants)
    axes.set_xlabel(f"US dollars for 1,000 questions{', logarithmic scale' if axis.is_log else ''}")
    _scale(axes, axis, content.contestants)
    places = axis.places(each.usd_per_1000 for each in content.contestants)
    points = [*zip(content.contestants, places, strict=True)]
    for each, place in points:
        _point(axes, each, place)
    steps = _steps(points, axis.end)
    _frontier(axes, steps)
    figure.legend(handles=[*_legend(content)], loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    canvas.draw()
    figure.set_layout_engine("none")
    _labels(figure, canvas, axes, points, steps)
    return figure


def _scale(axes: Axes, axis: CostAxis, contestants: Sequence[Plotted]) -> None:
    if not contestants:
        axes.text(0.5, 0.5, "Nothing has a score.", transform=axes.transAxes, ha="center", color=_GREY)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    axes.set_xlim(0, 1)
    ticks = axis.ticks
    axes.set_xticks([place for place, _ in ticks], [label for _, label in ticks])
    ends = [100 * end for each in contestants for end in (each.interval or (each.score, each.score))]
    margin = max(2.0, 0.08 * (max(ends) - min(ends)))
    low, high = min(ends) - margin, max(ends) + margin
    scores = MaxNLocator(_MOST_TICKS, steps=(1, 2, 5, 10)).tick_values(low, high)
    axes.set_yticks([each for each in scores if low <= each <= min(high, 100)])
    axes.set_ylim(low, high)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    for edge in (axis.start, axis.end):
        if 0 < edge < 1:
            axes.axvline(edge, color=_LIGHT, linewidth=1, linestyle=":")


def _point(axes: Axes, each: Plotted, place: float) -> None:
    look, score = _LOOKS[each.kind], 100 * each.score
    if each.interval is not None:
        axes.vlines(place, 100 * each.interval.low, 100 * each.interval.high, look.colour, alpha=0.55, linewidth=2)
    face = "white" if each.at_least else look.colour
    axes.plot(place, score, look.marker, ms=_MARKER, mfc=face, mec=look.colour, mew=1.5, zorder=3)


def _frontier(axes: Axes, steps: Sequence[_Corner]) -> None:
    """Draw the best score for each cost as steps."""
    if steps:
        places, scores = zip(*steps, strict=True)
        axes.step(places, scores, where="post", color=_LIGHT, linewidth=1.2, linestyle="--", zorder=1)


def _steps(points: Sequence[_Point], end: float) -> list[_Corner]:
    """Return the corners of the frontier."""
    best = sorted((place, 100 * each.score) for each, place in points if each.on_frontier)
    return [*best, (end, best[-1][1])] if best else []


def _legend(content: PictureContent) -> Iterator[Line2D]:
    kinds = {each.kind for each in content.contestants}
    for kind, look in _LOOKS.items():
        if kind in kinds:
            yield Line2D([], [], marker=look.marker, color=look.colour, linestyle="", label=look.name)
    if any(each.on_frontier for each in content.contestants):
        yield Line2D([], [], color=_LIGHT, linestyle="--", label="frontier: no other scores as much for less")
    if any(each.at_least for each in content.contestants):
        yield Line2D([], [], marker="o", mfc="white", mec=_GREY, linestyle="", label="hollow: costs at least that")
    if content.left_out:
        names = ", ".join(map(_short, content.left_out))
        yield Line2D([], [], linestyle="", label=f"not shown, without a score: {names[: 2 * _LONGEST]}")


def _labels(
    figure: Figure, canvas: FigureCanvasAgg, axes: Axes, points: Sequence[_Point], steps: Sequence[_Corner]
) -> None:
    """Write the names, each at a free place, with a line to its point if that is far."""
    renderer = canvas.get_renderer()
    taken = [box for each, place in points for box in _boxes(axes, each, place)]
    lines = [*_frontier_boxes(axes, steps)]
    frame = axes.get_window_extent(renderer)
    within, least = Box(frame.x0, frame.y0, frame.x1, frame.y1), _MARKER * _DPI / 72
    for each, across in points:
        x, y = _pixels(axes, across, 100 * each.score)
        text = figure.text(0, 0, _short(each.name), fontsize=9, color=_GREY, ha="center", va="center", zorder=4)
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])
        size = text.get_window_extent(renderer)
        place = free_place((x, y), (size.width, size.height), least, [*taken, *lines], within)
        taken.append(place)
        centre = (place.left + place.right) / 2, (place.bottom + place.top) / 2
        text.set_position(_in_figure(figure, centre))
        near = min(max(x, place.left), place.right), min(max(y, place.bottom), place.top)
        if hypot(near[0] - x, near[1] - y) > _FAR * least:
            ends = _in_figure(figure, (x, y)), _in_figure(figure, near)
            figure.add_artist(Line2D(*zip(*ends, strict=True), color=_LIGHT, linewidth=0.8, zorder=2))


def _boxes(axes: Axes, each: Plotted, place: float) -> Iterator[Box]:
    """Yield what a point and its interval cover, in pixels."""
    x, y = _pixels(axes, place, 100 * each.score)
    around = _MARKER * _DPI / 72 / 2 + 2
    yield Box(x - around, y - around, x + around, y + around)
    if each.interval is not None:
        bottom, top = (_pixels(axes, 0, 100 * end)[1] for end in each.interval)
        yield Box(x - 3, bottom, x + 3, top)


def _frontier_boxes(axes: Axes, steps: Sequence[_Corner]) -> Iterator[Box]:
    """Yield what the steps of the frontier cover, in pixels."""
    for (x, y), (next_x, next_y) in pairwise(_pixels(axes, *corner) for corner in steps):
        yield Box(x, y - 2, next_x, y + 2)
        yield Box(next_x - 2, y, next_x + 2, next_y)


def _in_figure(figure: Figure, pixels: tuple[float, float]) -> tuple[float, float]:
    x, y = figure.transFigure.inverted().transform(pixels)
    return float(x), float(y)


def _pixels(axes: Axes, place: float, score: float) -> tuple[float, float]:
    x, y = axes.transData.transform((place, score))
    return float(x), float(y)


def _short(name: str, longest: int = _LONGEST) -> str:
    shown = " ".join(visible(name).split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
