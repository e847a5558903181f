"""The result of an evaluation at a terminal: tables, then conclusions in words, then notes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from moa_mcp.cli import draw
from moa_mcp.cli.text import line
from moa_mcp.evaluation.report.tables import Column, TextTable, tables
from moa_mcp.evaluation.report.words import conclusions, notes
from moa_mcp.evaluation.result import Evaluation
from moa_mcp.text.visible import visible

_STYLES = {"better": "green", "worse": "red", "undecided": "dim"}
_NAME, _SHORT_NAME = 40, 14
"""Characters of a name in a line; a longer one takes several."""
_UNLIMITED = 10_000
"""Columns of a terminal that has room for each table."""


def show(out: Console, evaluation: Evaluation) -> None:
    """Print an analysed evaluation."""
    if evaluation.settings.simulated:
        out.print(draw.SIMULATED, "", sep="\n")
    for each in tables(evaluation):
        out.print(Text(line(each.title), "bold"), _drawn(out, each), sep="\n")
        for about in each.legend:
            out.print(_item(Text(line(about), "dim"), " "))
        out.print()
    for sentence in conclusions(evaluation):
        out.print(_item(Text(line(sentence))))
    for note in notes(evaluation):
        out.print(_item(Text(line(note), "dim")))


def _item(text: Text, mark: str = "-") -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(mark, "dim"), text)
    return grid


def _drawn(out: Console, table: TextTable) -> RenderableType:
    """Return a table that fits: without the columns for wide terminals where it must, else as a list for each row."""
    unlimited = out.options.update(max_width=_UNLIMITED)
    narrow = [each for each in table.columns if not each.wide]
    for columns, name in ((table.columns, _NAME), (narrow, _NAME), (narrow, _SHORT_NAME)):
        drawn = _table(columns, name)
        if Measurement.get(out, unlimited, drawn).minimum <= out.width:
            return drawn
    return _lists(table)


def _table(columns: Sequence[Column], longest_name: int) -> Table:
    drawn = draw.table()
    for each in columns:
        width = max(map(cell_len, (each.title, *each.cells)))
        least = min(longest_name, width) if each.is_text else width
        justify: JustifyMethod = "left" if each.is_text else "right"
        drawn.add_column(each.title, justify=justify, min_width=least, overflow="fold")
    for cells in zip(*(each.cells for each in columns), strict=True):
        drawn.add_row(*map(_cell, cells))
    return drawn


def _cell(text: str) -> Text:
    return Text(visible(text).replace("\n", " "), _STYLES.get(text, ""))


def _lists(table: TextTable) -> Table:
    grid = Table.grid(padding=(0, 2))
    for number, cells in enumerate(table.rows):
        if number:
            grid.add_row("", "")
        for column, cell in zip(table.columns, cells, strict=True):
            grid.add_row(Text(column.title, "dim"), _cell(cell.strip()))
    return grid
