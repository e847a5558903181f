"""Layout for the terminal: the console, tables, the trace of a run, and number formats."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from moa_mcp.cli.text import counted, line
from moa_mcp.text.money import dollars
from moa_mcp.trace.trace import StepTrace, Trace

_PLAIN_WIDTH = 100
"""Width of output that does not go to a terminal."""
_MOST_NOTES = 8
SIMULATED = Text(" simulated: no model was called ", "reverse yellow")


def console(*, stderr: bool = False) -> Console:
    """Return a console that prints text unchanged: no markup, emoji codes or highlighting."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _PLAIN_WIDTH
    return made


def seconds(took: float | None) -> str:
    """Return seconds with one decimal; a dash for None."""
    return "-" if took is None else f"{took:.1f}"


def names(models: Iterable[str]) -> str:
    """Return the distinct models, each with its count if that is above 1."""
    counts = Counter(models)
    return ", ".join(line(name) if count == 1 else f"{count}x {line(name)}" for name, count in counts.items())


def table(*, footer: bool = False) -> Table:
    """Return an empty table in the common style."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, show_footer=footer, pad_edge=False, footer_style="bold")


def show(out: Console, title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print a title, rows of a name and a text, which may take several lines, and an empty line."""
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(name, line(text))
    out.print(Text(title, "bold"), grid, "", sep="\n")


def trace_table(trace: Trace) -> Table:
    """Return a table with a row for each step, including steps that were not reached, and totals."""
    rows = table(footer=True)
    usage = trace.usage
    own = trace.steps[trace.inherited :]
    answered = sum(step.answered for step in own)
    calls = sum(len(step.calls) for step in own)
    rows.add_column("step", "total", no_wrap=True)
    rows.add_column("models")
    rows.add_column("answered", f"{answered}/{calls}", justify="right", no_wrap=True)
    rows.add_column("seconds", seconds(trace.seconds), justify="right", no_wrap=True)
    rows.add_column("in", f"{usage.prompt_tokens:,}", justify="right", no_wrap=True)
    rows.add_column("out", f"{usage.completion_tokens:,}", justify="right", no_wrap=True)
    rows.add_column("cost", dollars(trace.cost_usd), justify="right", no_wrap=True)
    for number, kind in enumerate(trace.planned, 1):
        if number <= trace.inherited:
            rows.add_row(*_row(trace.steps[number - 1], cost="reused"), style="dim")
        elif number <= len(trace.steps):
            rows.add_row(*_row(trace.steps[number - 1]))
        else:
            rows.add_row(f"{number} {kind}", "not reached", style="dim")
    return rows


def _row(step: StepTrace, cost: str | None = None) -> Iterator[Text]:
    usage = step.usage
    name = f"{step.step} {step.kind}"
    if not step.calls:
        yield from map(Text, (name, "", "", seconds(step.seconds)))
        return
    yield Text(name)
    yield Text(names(call.agent for call in step.calls), "dim", no_wrap=True, overflow="ellipsis")
    yield Text(f"{step.answered}/{len(step.calls)}", style="yellow" if step.failed else "")
    yield Text(seconds(step.seconds))
    yield Text(f"{usage.prompt_tokens:,}")
    yield Text(f"{usage.completion_tokens:,}")
    yield Text(cost or dollars(step.cost_usd))


_COLOURS = {
    "complete": "green",
    "degraded": "yellow",
    "failed": "red",
    "cancelled": "red",
    "running": "cyan",
    "interrupted": "yellow",
}


def conclusion(trace: Trace, *, simulated: bool) -> Iterator[Text | Table]:
    """Yield the summary of a run: its steps, its notes, the comparison with the estimate, its status and ID."""
    if simulated:
        yield SIMULATED
    yield trace_table(trace)
    yield from notes(trace)
    yield from against_estimate(trace)
    yield trace_line(trace)


def against_estimate(trace: Trace) -> Iterator[Text]:
    """Yield the tokens and cost of a run compared with its estimate."""
    estimated = trace.estimated
    if estimated is None:
        return
    tokens = trace.usage.prompt_tokens + trace.usage.completion_tokens
    used = f"{tokens:,} tokens (estimate {estimated.tokens.expected:,}, maximum {estimated.tokens.max:,})"
    if estimated.cost_usd is not None and estimated.cost_usd.max:
        cost, most = estimated.cost_usd.expected, estimated.cost_usd.max
        used += f"; cost {dollars(trace.cost_usd)} (estimate {dollars(cost)}, maximum {dollars(most)})"
    yield Text(f"- {used}", style="dim")


def trace_line(trace: Trace) -> Text:
    """Return the status, pipeline, ID and seed of a run on one line."""
    identity = f"  {line(trace.pipeline)}  run {trace.run_id}  seed {trace.seed}"
    return Text.assemble(status("interrupted" if trace.interrupted else trace.status), (identity, "dim"))


def status(name: str) -> Text:
    """Return a status in its colour."""
    return Text(name, _COLOURS[name])


def notes(trace: Trace) -> Iterator[Text]:
    """Yield the first notes of a run, without the reasons for a degraded status."""
    others = [note for note in trace.notes if note not in trace.degradations]
    for note in others[:_MOST_NOTES]:
        yield Text(f"- {line(note)}", style="dim")
    if len(others) > _MOST_NOTES:
        yield Text(f"- {counted(len(others) - _MOST_NOTES, 'more note')} in the JSON output", style="dim")
