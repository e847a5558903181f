"""What an evaluation is expected to cost, by contestant."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from moa_mcp.batch.costs import BatchEstimate
from moa_mcp.budget.worst_case import rounded
from moa_mcp.cli import costs, draw
from moa_mcp.cli.text import line
from moa_mcp.evaluation.contestants import Field
from moa_mcp.evaluation.execution.estimate import EvalEstimate
from moa_mcp.text.money import dollars


def show(out: Console, estimate: EvalEstimate, field: Field) -> None:
    """Print the estimate of the runs that are left, the contestants that cost nothing, and the prices of models."""
    if estimate.left:
        costs.show_prices(out, {model: each for part in estimate.left for model, each in part.of_one.priced.items()})
    table = draw.table()
    for title in ("contestant", "recorded", "runs", "calls", "in", "out", "cost", "max"):
        table.add_column(title, justify="left" if title == "contestant" else "right", overflow="fold")
    for part in estimate.parts:
        table.add_row(line(part.name), str(part.recorded), *_cells(part.left))
    for free in field.free:
        table.add_row(line(free.name), "", "0", "0", "0", "0", "free", "", style="dim")
    out.print(table)
    if field.free:
        out.print(Text("  free: from samples that a pipeline asks anyway", "dim"))
    low, expected, high = map(dollars, estimate.cost_usd)
    of = "the models with a known price in the runs" if estimate.unknown else "the runs"
    out.print(Text(f"Expected cost of {of} that are left: {expected} (minimum {low}, maximum {high}).", "bold"))
    if estimate.most_usd:
        most = dollars(rounded(estimate.most_usd))
        rule = f"With --budget, a run starts only if {most} are left, the most that the longest one may cost"
        out.print(Text(f"{rule}; the budget then counts what it did cost.", "dim"))
    if estimate.unknown:
        out.print(Text(f"No price is known for {', '.join(map(line, estimate.unknown))}.", "yellow"))
    if any(each.sampled < each.runs for each in estimate.left):
        out.print(Text("- Computed from evenly spaced questions.", "dim"))


def _cells(left: BatchEstimate | None) -> tuple[str, ...]:
    if left is None:
        return ("0", "0", "0", "0", "$0", "")
    cost, most = dollars(left.cost_usd.expected), dollars(left.cost_usd.max)
    if left.unknown:
        cost, most = (f"{cost} + unknown", "unknown") if any(left.cost_usd) else ("unknown", "")
    return (
        f"{left.runs:,}",
        f"{left.calls:,}",
        f"{left.prompt.expected:,}",
        f"{left.completion.expected:,}",
        cost,
        most,
    )
