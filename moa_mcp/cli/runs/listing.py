"""``moa-mcp runs list``: one line per run, newest first."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import NamedTuple

import anyio
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from moa_mcp.cli import completing, draw
from moa_mcp.cli.options import config_unread, journal_option, nearest
from moa_mcp.cli.runs.record import absent, journal_of, no_runs, stands
from moa_mcp.cli.text import counted, json_text, line, say
from moa_mcp.errors import JournalError
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.runs import traced, was_simulated
from moa_mcp.runs.lookup import every
from moa_mcp.text import money
from moa_mcp.trace.trace import Trace

STATUSES = ("queued", "running", "interrupted", "complete", "degraded", "failed", "cancelled")
_WIDE, _WIDEST = 100, 120
"""Columns from which full IDs are shown, and full dates."""
_SHORT_ID = 8

Row = tuple[RunRecord, Trace | None]
"""A run and its trace; None if that can't be read."""


@click.command("list", epilog="Exit codes: 0 success, 2 wrong usage or unusable journal.")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs with this status.")
@click.option("--pipeline", metavar="NAME", shell_complete=completing.pipelines, help="Only runs of this pipeline.")
@click.option("--batch", metavar="ID", shell_complete=completing.batches, help="Only runs of this batch.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Maximum number of runs."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@journal_option
@config_unread
def list_command(
    status: str | None, pipeline: str | None, batch: str | None, limit: int, as_json: bool, journal: str | None
) -> None:
    """List stored runs, newest first."""
    if absent(journal):
        _show((), as_json=as_json, otherwise=f"{no_runs(journal)}.")
        return
    with journal_of(journal) as kept:
        filtered = (status, pipeline, batch) != (None, None, None)
        found = anyio.run(_matching, kept, status, pipeline, batch) if filtered else _newest(kept, limit)
        rows = anyio.run(_rows, kept, found.shown[:limit])
    near = nearest(pipeline or "", found.pipelines) if not rows and pipeline else ""
    none = f"no run matches{near or '.'}" if found.pipelines or batch else f"{no_runs(journal)}."
    _show(rows, as_json=as_json, otherwise=none)
    if not as_json and filtered and len(found.shown) > limit:
        say(f"{counted(len(found.shown) - limit, 'more run')}; use --limit {len(found.shown)} to show all.")


class _Found(NamedTuple):
    shown: list[RunRecord]
    pipelines: set[str]
    """Of all runs that were looked at."""


def _newest(journal: Journal, limit: int) -> _Found:
    records = anyio.run(partial(journal.records, limit=limit))
    return _Found([*records], {each.pipeline for each in records})


async def _matching(journal: Journal, status: str | None, pipeline: str | None, batch: str | None) -> _Found:
    found = _Found([], set())
    async for each in every(journal, batch=batch):
        found.pipelines.add(each.pipeline)
        if status in {None, stands(each)} and pipeline in {None, each.pipeline}:
            found.shown.append(each)
    return found


async def _rows(journal: Journal, records: list[RunRecord]) -> tuple[Row, ...]:
    return tuple([(record, await _trace(journal, record)) for record in records])


async def _trace(journal: Journal, record: RunRecord) -> Trace | None:
    try:
        trace = traced(record, (await journal.events(record.run_id)).events)
        was_simulated(record)  # raises here, not while the rows are printed
    except JournalError as error:
        say(f"Error: {error}")
        return None
    return trace


def _show(rows: tuple[Row, ...], *, as_json: bool, otherwise: str) -> None:
    if as_json:
        click.echo(json_text([_data(*row) for row in rows]))
    elif rows:
        out = draw.console()
        out.print(_table(rows, out))
    else:
        say(f"{otherwise[0].upper()}{otherwise[1:]}")


def _data(record: RunRecord, trace: Trace | None) -> dict[str, object]:
    return {
        "run_id": record.run_id,
        "pipeline": record.pipeline,
        "status": stands(record),
        "started_at": record.created_at,
        "seconds": None if trace is None else trace.seconds,
        "cost_usd": None if trace is None or trace.cost_usd is None else float(trace.cost_usd),
        "simulated": None if trace is None else was_simulated(record),
        "question": record.title,
        "continues": None if trace is None else trace.continues,
        "batch": record.batch,
    }


def _table(rows: tuple[Row, ...], out: Console) -> Table:
    wide = out.width >= _WIDE
    table = draw.table()
    table.add_column("run", no_wrap=True, style="cyan")
    table.add_column("started", no_wrap=True)
    table.add_column("pipeline", no_wrap=True, overflow="ellipsis", max_width=22 if wide else 14)
    table.add_column("status", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    table.add_column("question")
    for record, trace in rows:
        table.add_row(
            record.run_id if wide else record.run_id[:_SHORT_ID],
            _moment(record.created_at, whole=out.width >= _WIDEST),
            line(record.pipeline),
            draw.status(stands(record)),
            draw.seconds(None if trace is None else trace.seconds),
            money.dollars(None if trace is None else trace.cost_usd),
            _question(record.title, trace),
        )
    return table


def _question(title: str, trace: Trace | None) -> Text:
    """Return the question; its column is the only one that is cut to fit the terminal."""
    text, style = (line(title), "") if title else ("(not stored)", "dim")
    before = f"after {trace.continues[:_SHORT_ID]}: " if trace and trace.continues else ""
    return Text.assemble((before, "dim"), (text, style), no_wrap=True, overflow="ellipsis")


def _moment(at: float, *, whole: bool) -> str:
    """Return a local time in its shortest form: the time of today, the date of another year."""
    local, today = datetime.fromtimestamp(at).astimezone(), datetime.now().astimezone()
    if whole:
        return f"{local:%Y-%m-%d %H:%M}"
    if local.date() == today.date():
        return f"{local:%H:%M}"
    return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d}"
