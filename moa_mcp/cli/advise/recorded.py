"""The findings of recorded runs as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from moa_mcp.cli import draw
from moa_mcp.cli.text import line
from moa_mcp.evaluation.advice.values import Measured, RecordedJudge, RecordedPipeline
from moa_mcp.evaluation.report import numbers
from moa_mcp.evaluation.report.numbers import counted, points, spread


def pipeline(out: Console, found: RecordedPipeline) -> None:
    """Print what recorded runs say about a pipeline."""
    out.print()
    out.print(Text.assemble((line(found.pipeline), "bold cyan"), f"  {counted(found.runs, 'recorded run')}"))
    out.print(_calls(found))
    out.print()
    out.print(_time(found))
    out.print(Text("cost, time: share of all calls; last: how often it ends last of a step with several calls", "dim"))
    if any(each.changes or each.dissents for each in found.members):
        out.print()
        out.print(_votes(found))
        out.print(Text("dissents: another value than the majority; changes: another result without it", "dim"))
    for sentence in _sentences(found):
        out.print(Text(line(sentence)))


def _calls(found: RecordedPipeline) -> Table:
    table = _table("calls", "failed", "interval", "cost", "interval", "$/call")
    for each in found.members:
        usd = numbers.dollars(each.usd_per_call)
        table.add_row(line(each.model), f"{each.failed.n:,}", *_cells(each.failed), *_cells(each.cost_share), usd)
    return table


def _time(found: RecordedPipeline) -> Table:
    table = _table("s/call", "time", "interval", "last", "interval")
    for each in found.members:
        took = numbers.seconds(each.seconds)
        table.add_row(line(each.model), took, *_cells(each.seconds_share), *_cells(each.slowest))
    return table


def _votes(found: RecordedPipeline) -> Table:
    table = _table("dissents", "interval", "n", "changes", "interval", "n")
    for each in found.members:
        if each.dissents or each.changes:
            table.add_row(line(each.model), *_counted(each.dissents), *_counted(each.changes))
    return table


def _table(*titles: str) -> Table:
    table = draw.table()
    table.add_column("model", overflow="ellipsis", no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _cells(found: Measured | None) -> tuple[str, str]:
    return ("-", "") if found is None else (points(found.value), spread(found.interval))


def _counted(found: Measured | None) -> tuple[str, str, str]:
    return (*_cells(found), "" if found is None else f"{found.n:,}")


def _sentences(found: RecordedPipeline) -> Iterator[str]:
    yield f"Without an answer: {_share(found.failed)}; degraded: {_share(found.degraded)}, each in % of the runs."
    for each in found.causes:
        yield f"- {each.text}: {counted(each.runs, 'run')}, such as {each.example}"
    for member in found.members:
        if member.failures:
            kinds = ", ".join(f"{kind} {count}" for kind, count in member.failures.items())
            yield f"- failures of {member.model}: {kinds}"
    if found.agreement:
        total = sum(found.agreement.values())
        shares = ", ".join(f"{verdict} {points(count / total)} %" for verdict, count in found.agreement.items())
        yield f"Agreement in {counted(total, 'run')}: {shares}."
    if found.dissent is not None:
        yield f"Members have another value than the majority in {_share(found.dissent)} % of their votes."
    yield from map(_judge, found.judges)


def _share(found: Measured) -> str:
    return f"{points(found.value)} ({spread(found.interval)}; n = {found.n:,})"


def _judge(found: RecordedJudge) -> str:
    first = (
        f"{found.judge} in the step {found.step} puts the first place first in {_share(found.first_place)} %, a random "
        f"choice in {points(found.expected)} %"
    )
    if not found.random_order:
        return (
            f"{first}; the order of the answers is always the same, so that this can be their quality: set passes = 3, "
            "or put a shuffle step before it."
        )
    same = "" if found.consistency is None else f" Its passes agree in {_share(found.consistency)} %."
    return f"{first}.{same}"
