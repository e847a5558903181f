"""Admits the runs of the commands. If a cost needs confirmation, the user confirms it at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

import anyio
import click

from moa_mcp.cli.options import Decorated, KeysMissing, Refused, RunFailed
from moa_mcp.cli.text import say, shortened
from moa_mcp.cli.watch import Begin
from moa_mcp.events import Emit
from moa_mcp.runs import ConfirmationRequired, Consent, Ready, Run, RunRefused, RunRequest, Runs


def yes_option(command: Decorated) -> Decorated:
    """Add --yes."""
    return click.option("-y", "--yes", is_flag=True, help="Skip the cost confirmation.")(command)


def estimate_option(command: Decorated) -> Decorated:
    """Add --estimate."""
    text = "Estimate calls, tokens and cost without calling a model."
    return click.option("--estimate", "estimating", is_flag=True, help=text)(command)


def consent(*, yes: bool) -> Consent:
    """Return what confirms the cost of a run: --yes, or else a --max-cost of at least the expected cost."""
    return "given" if yes else "budget"


def admitted(runs: Runs, request: RunRequest, refused: Callable[[RunRefused], Refused] | None = None) -> Ready:
    """Return a run that may start. `refused`, by default `refusal`, turns a refusal into the error to raise.

    Raises:
        KeysMissing: its models have no usable provider.
        Refused: its cost needs confirmation, and there is no terminal to ask for it.
        RunFailed: the user declines, or the run can't start for another reason.

    """
    outcome = anyio.run(runs.admit, request)
    match outcome:
        case Ready():
            return outcome
        case ConfirmationRequired():
            return _confirmed(outcome)
        case RunRefused():  # exhaustive
            raise (refused or refusal)(outcome)


def refusal(refused: RunRefused) -> Refused:
    """Return the error for a run that can't start."""
    kind = KeysMissing if refused.reason == "no_provider" else RunFailed
    return kind(shortened(refused.message), "No model was called and nothing was spent.")


def begins(ready: Ready, note: Callable[[Run], str] | None = None) -> Begin:
    """Return a function that starts the run and prints a note about it."""

    async def begin(runs: Runs, watching: Emit | None) -> Run:
        run = await runs.start(ready, watching)
        if note is not None:
            say(note(run))
        return run

    return begin


def _confirmed(required: ConfirmationRequired) -> Ready:
    confirmation = required.confirmation
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        remedy = (
            f"Add --yes, or --max-cost {confirmation.least_usd} or more. {confirmation.enough_usd} covers the "
            "worst-case cost of every call with a known price; a lower budget may skip calls."
        )
        raise Refused(f"not started, confirmation required: {confirmation}", remedy)
    say(str(confirmation))
    if not click.confirm("Start the run?", err=True):
        raise RunFailed("not started: you did not confirm the cost", "No model was called and nothing was spent.")
    return required.confirmed()
