"""Parts of a page as HTML. Every text of others is escaped here, and nothing of it is markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from moa_mcp.evaluation.report.tables import Column, TextTable
from moa_mcp.text.visible import visible


def text(given: str) -> str:
    """Return a text as HTML, without invisible characters."""
    return escape(visible(given))


def line(given: str) -> str:
    """Return a text on one line, not yet as HTML."""
    return " ".join(visible(given).split())


def section(name: str, title: str, content: str) -> str:
    """Return a section with a heading. `name` is its ID."""
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{text(title)}</h2>{content}</section>'


def folded(title: str, content: str) -> str:
    """Return content that a reader can unfold."""
    return f"<details><summary>{text(title)}</summary>{content}</details>"


def items(sentences: Iterable[str], style: str) -> str:
    """Return a list."""
    return f'<ul class="{style}">{"".join(f"<li>{text(line(each))}</li>" for each in sentences)}</ul>'


def table(shown: TextTable) -> str:
    """Return a section with a table and its legend."""
    heads = "".join(_heading(each) for each in shown.columns)
    rows = "".join(_row(shown.columns, cells) for cells in shown.rows)
    legend = "".join(f'<p class="quiet about">{text(each)}</p>' for each in shown.legend)
    content = f'<table class="rows report"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f"<section><h2>{text(shown.title)}</h2>{_scrolled(shown.title, content)}{legend}</section>"


def facts(title: str, named: Mapping[str, str]) -> str:
    """Return a table of names and values."""
    rows = "".join(
        f'<tr><th scope="row">{text(line(name))}</th><td>{text(value)}</td></tr>' for name, value in named.items()
    )
    return _scrolled(title, f'<table class="rows"><tbody>{rows}</tbody></table>')


def _scrolled(title: str, content: str) -> str:
    return f'<div class="tabled" role="region" tabindex="0" aria-label="{text(title)}">{content}</div>'


def _heading(column: Column) -> str:
    about = f' title="{text(column.about)}"' if column.about else ""
    return f'<th scope="col"{_look(column)}{about}>{text(column.title)}</th>'


def _row(columns: Iterable[Column], cells: Iterable[str]) -> str:
    (_, name), *others = zip(columns, cells, strict=True)
    written = "".join(f"<td{_look(column)}>{text(cell)}</td>" for column, cell in others)
    return f'<tr><th scope="row">{text(name)}</th>{written}</tr>'


def _look(column: Column) -> str:
    return "" if column.is_text else ' class="number"'
