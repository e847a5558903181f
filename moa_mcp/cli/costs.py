"""Shows an estimate: a row for each step and model, the total, and the source of each price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from moa_mcp.cli import draw
from moa_mcp.cli.text import line
from moa_mcp.planning.estimate import NOTES, Estimate, ModelEstimate, Priced
from moa_mcp.text import money
from moa_mcp.values import Dollars, Tokens

_MILLION = 1_000_000


def show(out: Console, estimated: Estimate) -> None:
    """Print an estimate."""
    out.print(_amounts(estimated))
    out.print()
    show_prices(out, estimated.priced)
    for each in _summary(estimated):
        out.print(each)


def show_prices(out: Console, priced: Mapping[str, Priced]) -> None:
    """Print models with their routes and prices."""
    out.print(_prices(priced))
    out.print()


def dollars(cost: Dollars | None) -> tuple[str, str]:
    """Return the expected and the maximum cost, or "unknown"."""
    return (money.dollars(cost.expected), money.dollars(cost.max)) if cost else (money.dollars(None), "")


def _amounts(estimated: Estimate) -> Table:
    table = draw.table(footer=True)
    shown = _cells(estimated.prompt, estimated.completion, estimated.cost_usd)
    table.add_column("step", "total")
    for title, total in zip(
        ("calls", "in", "max", "out", "max", "cost", "max"), (estimated.calls, *shown), strict=True
    ):
        table.add_column(title, str(total), justify="right", no_wrap=True)
    for number, step in enumerate(estimated.steps, 1):
        table.add_row(f"{number} {step.kind}", style="bold" if step.calls else "dim")
        for each in step.models:
            table.add_row(Text(f"  {line(each.model)}", no_wrap=True, overflow="ellipsis"), *_row(each))
    return table


def _row(each: ModelEstimate) -> Iterator[str]:
    yield str(each.calls)
    yield from _cells(each.prompt, each.completion, each.cost_usd)


def _cells(prompt: Tokens, completion: Tokens, cost: Dollars | None) -> tuple[str, ...]:
    tokens = (prompt.expected, prompt.max, completion.expected, completion.max)
    return (*map(_short, tokens), *dollars(cost))


def _short(tokens: int) -> str:
    """Return a count of tokens in about five characters."""
    units = ((_MILLION, "M"), (1000, "k"))
    return next((f"{tokens / unit:.1f}{name}" for unit, name in units if tokens >= 10 * unit), str(tokens))


def _prices(models: Mapping[str, Priced]) -> Table:
    table = draw.table()
    table.add_column("model", no_wrap=True, overflow="ellipsis")
    table.add_column("route", overflow="fold")
    table.add_column("$/M in", justify="right")
    table.add_column("$/M out", justify="right")
    table.add_column("price source", overflow="fold")
    for model, priced in models.items():
        price = priced.price
        rates = (_rate(price.rates.prompt), _rate(price.rates.completion)) if price else (money.dollars(None), "")
        table.add_row(line(model), line(priced.route or "none"), *rates, priced.source)
    return table


def _rate(per_token: Decimal) -> str:
    return f"{(per_token * _MILLION).normalize():f}"


def _summary(estimated: Estimate) -> Iterator[Text]:
    cost, prompt, completion = estimated.cost_usd, estimated.prompt, estimated.completion
    if cost is None:
        names = ", ".join(map(line, estimated.unknown))
        yield Text(f"Expected cost: unknown, because no price is known for {names}.", style="yellow")
    else:
        low, expected, high = map(money.dollars, cost)
        yield Text(f"Expected cost: {expected} (minimum {low}, maximum {high}).", style="bold")
    yield Text(f"Minimum tokens: {prompt.min:,} in, {completion.min:,} out.")
    yield from (Text(f"- {note}", style="dim") for note in NOTES)
