"""What a batch is expected to cost, and the confirmation of that at the terminal."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Protocol

import click
from rich.console import Console
from rich.text import Text

from moa_mcp.batch.costs import BatchEstimate
from moa_mcp.budget.worst_case import rounded
from moa_mcp.cli import costs
from moa_mcp.cli.options import Refused, RunFailed
from moa_mcp.cli.text import counted, line, say
from moa_mcp.text.money import dollars
from moa_mcp.values import Dollars


def show(out: Console, estimated: BatchEstimate) -> None:
    """Print the estimate of the runs that are left, and the prices of their models."""
    costs.show_prices(out, estimated.of_one.priced)
    low, expected, high = map(dollars, estimated.cost_usd)
    of = f"the models with a known price in {_runs(estimated)}" if estimated.unknown else _runs(estimated)
    out.print(Text(f"Expected cost of {of}: {expected} (minimum {low}, maximum {high}).", "bold"))
    if estimated.unknown:
        out.print(Text(f"No price is known for {', '.join(map(line, estimated.unknown))}.", "yellow"))
    prompt, completion = estimated.prompt.expected, estimated.completion.expected
    out.print(Text(f"Expected: {estimated.calls:,} calls, {prompt:,} tokens in, {completion:,} tokens out."))
    if estimated.sampled < estimated.runs:
        out.print(Text(f"- Computed from {estimated.sampled} evenly spaced items.", "dim"))


class Expected(Protocol):
    """What runs are expected to need."""

    @property
    def runs(self) -> int: ...
    @property
    def calls(self) -> int: ...
    @property
    def cost_usd(self) -> Dollars: ...
    @property
    def unknown(self) -> tuple[str, ...]: ...


def confirm(
    estimated: Expected,
    limit: Decimal | None,
    max_cost_usd: Decimal | None,
    *,
    what: str = "batch",
    option: str = "--max-cost",
) -> None:
    """Ask the user at the terminal, if the runs are expected to cost more than `limit`, their `confirm_above_usd`.

    A budget of at least the expected cost confirms it, unless a price is unknown: a budget can't limit that.

    Raises:
        Refused: there is no terminal to ask for it.
        RunFailed: the user declines.

    """
    expected = estimated.cost_usd.expected
    if limit is None or (not estimated.unknown and min(expected, max_cost_usd or expected) <= limit):
        return
    if not estimated.unknown and max_cost_usd is not None and max_cost_usd >= expected:
        return
    cost = f"{dollars(expected)}, and at most {dollars(estimated.cost_usd.max)} if nothing has to be repeated"
    unknown = f"; no price is known for {', '.join(map(line, estimated.unknown))}" if estimated.unknown else ""
    message = f"{_runs(estimated)} will make {estimated.calls:,} model calls, expected to cost {cost}{unknown}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        remedy = f"Add --yes, or {option} {rounded(expected)} or more. confirm_above_usd is {dollars(limit)}."
        raise Refused(f"not started, confirmation required: {message}", remedy)
    say(f"{message}; confirm_above_usd is {dollars(limit)}.")
    if not click.confirm(f"Start the {what}?", err=True):
        raise RunFailed("not started: you did not confirm the cost", "No model was called and nothing was spent.")


def _runs(estimated: Expected) -> str:
    return counted(estimated.runs, "run")
