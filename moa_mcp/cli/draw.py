"""How things look on a terminal: the console, the table of a run's trace, numbers in a reader's form."""

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
"""Columns where no terminal says how many there are."""
_MOST_NOTES = 8
SIMULATED = Text(" simulated: no model was asked ", "reverse yellow")


def console(*, stderr: bool = False) -> Console:
    """Return a console that takes all text as it is: no markup, no emoji codes, no highlighting."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _PLAIN_WIDTH
    return made


def seconds(took: float | None) -> str:
    """Return seconds with one digit; a dash where there is no end yet."""
    return "-" if took is None else f"{took:.1f}"


def names(asked: Iterable[str]) -> str:
    """Return models, each once, with how often it is asked where that is more than once."""
    counts = Counter(asked)
    return ", ".join(line(name) if count == 1 else f"{count}x {line(name)}" for name, count in counts.items())


def table(*, footer: bool = False) -> Table:
    """Return an empty table in the one look that tables have."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, show_footer=footer, pad_edge=False, footer_style="bold")


def trace_table(trace: Trace) -> Table:
    """Return a row for each step, those that were not reached included, and the totals."""
    rows = table(footer=True)
    usage = trace.usage
    own = trace.steps[trace.inherited :]
    answered = sum(step.answered for step in own)
    asked = sum(len(step.calls) for step in own)
    rows.add_column("step", "total", no_wrap=True)
    rows.add_column("models")
    rows.add_column("answered", f"{answered}/{asked}", justify="right", no_wrap=True)
    rows.add_column("seconds", seconds(trace.seconds), justify="right", no_wrap=True)
    rows.add_column("in", f"{usage.prompt_tokens:,}", justify="right", no_wrap=True)
    rows.add_column("out", f"{usage.completion_tokens:,}", justify="right", no_wrap=True)
    rows.add_column("cost", dollars(trace.cost_usd), justify="right", no_wrap=True)
    for number, kind in enumerate(trace.planned, 1):
        if number <= trace.inherited:
            rows.add_row(*_row(trace.steps[number - 1], cost="inherited"), style="dim")
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
    """Yield how a run came about: its steps, its notes, and what identifies it."""
    if simulated:
        yield SIMULATED
    yield trace_table(trace)
    yield from notes(trace)
    yield from against_estimate(trace)
    yield trace_line(trace)


def against_estimate(trace: Trace) -> Iterator[Text]:
    """Yield what a run took beside what it was reckoned to take."""
    estimated = trace.estimated
    if estimated is None:
        return
    tokens = trace.usage.prompt_tokens + trace.usage.completion_tokens
    took = f"{tokens:,} tokens of {estimated.tokens.expected:,} expected, {estimated.tokens.max:,} at most"
    if estimated.cost_usd is not None and estimated.cost_usd.max:
        cost, most = estimated.cost_usd.expected, estimated.cost_usd.max
        took += f"; {dollars(trace.cost_usd)} of {dollars(cost)} expected, {dollars(most)} at most"
    yield Text(f"- {took}", style="dim")


def trace_line(trace: Trace) -> Text:
    """Return what identifies a run and how it ended, on one line."""
    identity = f"  {line(trace.pipeline)}  run {trace.run_id}  seed {trace.seed}"
    return Text.assemble(status("interrupted" if trace.interrupted else trace.status), (identity, "dim"))


def status(said: str) -> Text:
    """Return how a run ended or stands, in the colour of it."""
    return Text(said, _COLOURS[said])


def notes(trace: Trace) -> Iterator[Text]:
    """Yield the notes of a run, without those that say why it is degraded; no more than fit a screen."""
    others = [note for note in trace.notes if note not in trace.degradations]
    for note in others[:_MOST_NOTES]:
        yield Text(f"- {line(note)}", style="dim")
    if len(others) > _MOST_NOTES:
        yield Text(f"- and {counted(len(others) - _MOST_NOTES, 'note')} more, which --json has", style="dim")
