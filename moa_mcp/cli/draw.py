"""Layout for the terminal: the console, tables, the summary of a run, and number formats."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from moa_mcp.cli.findings import findings
from moa_mcp.cli.text import counted, line
from moa_mcp.text.money import dollars
from moa_mcp.trace.agreement import dissent_lines
from moa_mcp.trace.trace import Trace

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


_COLOURS = {
    "complete": "green",
    "degraded": "yellow",
    "failed": "red",
    "cancelled": "red",
    "queued": "cyan",
    "running": "cyan",
    "interrupted": "yellow",
}


def summary(trace: Trace) -> Iterator[Text]:
    """Yield what a run found out, its notes, what it used, compared with its estimate, its status and its ID."""
    yield from findings(trace)
    yield from notes(trace)
    if trace.steps:
        yield Text(f"- {_used(trace)}", style="dim")
    yield trace_line(trace)


def _used(trace: Trace) -> str:
    """Return the calls, seconds, tokens and cost of a run, compared with its estimate."""
    own = trace.steps[trace.inherited :]
    answered, calls = sum(step.answered for step in own), sum(len(step.calls) for step in own)
    took = "" if trace.seconds is None else f" in {trace.seconds:.1f} s"
    usage, estimated = trace.usage, trace.estimated
    tokens = f"{usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens"
    cost = "cost unknown" if trace.cost_usd is None else f"cost {dollars(trace.cost_usd)}"
    if estimated is not None:
        tokens += f" (estimate {estimated.tokens.expected:,}, maximum {estimated.tokens.max:,})"
        if estimated.cost_usd is not None and estimated.cost_usd.max:
            cost += f" (estimate {dollars(estimated.cost_usd.expected)}, maximum {dollars(estimated.cost_usd.max)})"
    return f"{answered} of {counted(calls, 'call')} answered{took}; {tokens}; {cost}"


def trace_line(trace: Trace) -> Text:
    """Return the status, pipeline, ID and seed of a run on one line."""
    follows = f"  continues run {line(trace.continues)}" if trace.continues else ""
    identity = f"  {line(trace.pipeline)}  run {line(trace.run_id)}  seed {trace.seed}{follows}"
    return Text.assemble(status("interrupted" if trace.interrupted else trace.status), (identity, "dim"))


def status(name: str) -> Text:
    """Return a status in its colour."""
    return Text(name, _COLOURS[name])


def notes(trace: Trace) -> Iterator[Text]:
    """Yield the first notes of a run, without the reasons for a degraded status, and what a minority says."""
    others = [note for note in trace.notes if note not in trace.degradations]
    for note in others[:_MOST_NOTES]:
        yield Text(f"- {line(note)}", style="dim")
    if len(others) > _MOST_NOTES:
        yield Text(f"- {counted(len(others) - _MOST_NOTES, 'more note')} in the JSON output", style="dim")
    for each in dissent_lines(trace):
        yield Text(f"- {line(each)}", style="dim")
