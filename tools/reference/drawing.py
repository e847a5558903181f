"""Drawings of the layers of a pipeline as SVG: a row for each step, a dot for each call, a line for what it reads.

A drawing has the colors of a light or a dark page, as the page that shows it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple

WIDTH, DOTS, TEXT_AT = 440, 148, 172
GAP, MARGIN, RADIUS, LINE = 26, 16, 6, 17
CHARACTERS = 38
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.kind { font-weight: 600 }
.detail, .end { fill: #59636e }
.line { stroke: #818b98; stroke-opacity: .55; fill: none }
.call { fill: #0969da }
.copy { fill: #ffffff; stroke: #0969da; stroke-width: 1.6 }
.kept { fill: #818b98 }
.maybe { fill: #ffffff; stroke: #818b98; stroke-width: 1.6; stroke-dasharray: 3 2 }
.ground { fill: #ffffff; stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.detail, .end { fill: #9198a1 }
.call { fill: #4493f8 }
.copy { fill: #151b23; stroke: #4493f8 }
.maybe { fill: #151b23 }
.ground { fill: #151b23; stroke: #3d444d }
}"""


class Dot(NamedTuple):
    """A call or an answer."""

    style: str
    """call, copy (of an earlier answer), kept (an answer as it was) or maybe (an answer that may be dropped)."""
    reads: tuple[int, ...] = ()
    """The dots of the row above that it reads, from 0."""


class Row(NamedTuple):
    """A step of a drawing."""

    kind: str
    details: tuple[str, ...]
    dots: tuple[Dot, ...]


class _Placed(NamedTuple):
    row: Row
    y: float
    lines: tuple[str, ...]

    @property
    def xs(self) -> tuple[float, ...]:
        return _xs(len(self.row.dots))


def drawn(title: str, rows: Sequence[Row]) -> str:
    """Return the drawing of a question that goes through the rows to an answer."""
    placed = list(_placed(rows))
    end = placed[-1].y + _half(placed[-1].lines) + GAP
    height = round(end + MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="ground" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        *_lines(placed, end),
        *_ends(end),
        *(part for each in placed for part in _row(each)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _placed(rows: Sequence[Row]) -> Iterator[_Placed]:
    y = float(MARGIN)
    for row in rows:
        lines = tuple(line for detail in row.details for line in wrap(detail, CHARACTERS, break_on_hyphens=False))
        y += GAP + _half(lines)
        yield _Placed(row, y, lines)
        y += _half(lines)


def _half(lines: Sequence[str]) -> float:
    return LINE * (len(lines) + 1) / 2


def _xs(count: int) -> tuple[float, ...]:
    step = min(24.0, (DOTS - 2 * MARGIN) / max(1, count - 1))
    return tuple(round(DOTS / 2 + 8 + (index - (count - 1) / 2) * step, 1) for index in range(count))


def _ends(end: float) -> Iterator[str]:
    x = _xs(1)[0]
    for y, text in ((MARGIN, "question"), (end, "answer")):
        yield f'<circle class="kept" cx="{x:g}" cy="{y:g}" r="3"/>'
        yield f'<text class="end" x="{x + 10:g}" y="{y + 4:g}">{text}</text>'


def _row(placed: _Placed) -> Iterator[str]:
    for x, dot in zip(placed.xs, placed.row.dots, strict=True):
        yield f'<circle class="{dot.style}" cx="{x:g}" cy="{placed.y:g}" r="{RADIUS}"/>'
    top = placed.y - _half(placed.lines) + 12.5
    yield f'<text class="kind" x="{TEXT_AT}" y="{top:g}">{escape(placed.row.kind)}</text>'
    for number, line in enumerate(placed.lines, 1):
        yield f'<text class="detail" x="{TEXT_AT}" y="{top + number * LINE:g}">{escape(line)}</text>'


def _lines(placed: Sequence[_Placed], end: float) -> Iterator[str]:
    above_xs, above_y = _xs(1), float(MARGIN)
    for each in placed:
        for x, dot in zip(each.xs, each.row.dots, strict=True):
            yield from (_line(above_xs[read], above_y, x, each.y) for read in dot.reads)
        above_xs, above_y = each.xs, each.y
    for start in above_xs:
        yield _line(start, above_y, _xs(1)[0], end)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (y1 + y2) / 2
    return f'<path class="line" d="M{x1:g} {y1:g}C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}"/>'
