"""Having somebody agree to what a run costs, before it starts."""

from __future__ import annotations

import sys
from decimal import Decimal

import click

from moa_mcp.budget.confirmation import Agreement
from moa_mcp.cli.options import Decorated, Refused, RunFailed
from moa_mcp.cli.text import say


def yes_option(command: Decorated) -> Decorated:
    """Add --yes."""
    return click.option("-y", "--yes", is_flag=True, help="Agree to what it costs, whatever confirm_above_usd says.")(
        command
    )


def settle(agreement: Agreement | None, *, yes: bool, max_cost_usd: Decimal | None) -> None:
    """Have whoever sits at the terminal agree, if nobody has. Raises `Refused` if nobody sits there, or will not."""
    if agreement is None or yes or agreement.given_by(max_cost_usd):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        remedy = (
            f"Add --yes, or --max-cost {agreement.least_usd} or more; {agreement.enough_usd} covers every call at its "
            "dearest, less may leave calls out."
        )
        raise Refused(f"not started, for want of your agreement: {agreement}", remedy)
    say(str(agreement))
    if not click.confirm("Start it?", err=True):
        raise RunFailed("not started: you did not agree", "No model was asked and nothing was spent.")
