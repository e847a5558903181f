"""``moa-mcp runs resume`` and ``fork``: reuse paid answers, call models for the rest, show the result like `ask`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import anyio
import click

from moa_mcp.cli.admitting import admitted, begins, consent, yes_option
from moa_mcp.cli.options import (
    Refused,
    config_option,
    journal_option,
    loaded,
    max_cost_option,
    offline_option,
)
from moa_mcp.cli.remedies import Remedies
from moa_mcp.cli.runs.record import find, journal_of, run_argument
from moa_mcp.cli.screen import DisplayOptions
from moa_mcp.cli.text import counted
from moa_mcp.cli.watch import conclude, ready, runs_of, watch
from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import ChangeRefused
from moa_mcp.journal import Journal
from moa_mcp.runs import ForkedRun, ResumedRun, Run, Runs, changed
from moa_mcp.trace.trace import Trace

_CODES = "Exit codes: 0 answered, 1 failed, 2 wrong usage, 3 no usable provider, 130 or 143 interrupted."
_EXAMPLES = """\b
Examples:
  moa-mcp runs fork last --from 2 --set agent=claude-sonnet-4-5
  moa-mcp runs fork last --from 2 --set n=2 --set 3.temperature=0.2

"""


@click.command("resume", epilog=_CODES)
@run_argument
@max_cost_option
@yes_option
@click.option("--json", "as_json", is_flag=True, help="Print the result and the full trace as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Don't print the trace.")
@offline_option
@journal_option
@config_option
def resume(
    run_id: str,
    max_cost_usd: Decimal | None,
    yes: bool,
    as_json: bool,
    quiet: bool,
    offline: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Resume an interrupted, failed or cancelled run.

    Answers that are already paid for are reused. ID is a run ID, the start of one, or 'last'.
    """
    config = loaded(config_path)
    options = DisplayOptions(offline, as_json, quiet, Remedies(config, journal, config_path, offline=offline))
    with journal_of(journal, config.journal) as kept:
        whole, pipeline, runs = _taken_up(kept, config, run_id, options)
        request = ResumedRun(run_id=whole, max_cost_usd=max_cost_usd, overrides_limits=True, consent=consent(yes=yes))

        def note(run: Run) -> str:
            return _on_record(run.trace, len(pipeline.steps))

        begin = begins(admitted(runs, request), None if quiet else note)
        conclude(watch(runs, pipeline, begin, options), options)


@click.command("fork", epilog=_EXAMPLES + _CODES)
@run_argument
@click.option(
    "--from", "step", type=int, required=True, metavar="STEP", help="First step to run again; steps count from 1."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of that step; use N.KEY=VALUE for a later step N.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Random seed. Default: the seed of the earlier run."
)
@max_cost_option
@yes_option
@click.option("--json", "as_json", is_flag=True, help="Print the result and the full trace as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Don't print the trace.")
@offline_option
@journal_option
@config_option
def fork(
    run_id: str,
    step: int,
    settings: tuple[str, ...],
    seed: int | None,
    max_cost_usd: Decimal | None,
    yes: bool,
    as_json: bool,
    quiet: bool,
    offline: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Branch a new run from a step of an earlier run.

    The answers of the steps before it are reused; only later calls are made and paid for. ID is a run ID, the start of
    one, or 'last'.
    """
    config = loaded(config_path)
    options = DisplayOptions(offline, as_json, quiet, Remedies(config, journal, config_path, offline=offline))
    with journal_of(journal, config.journal) as kept:
        whole, pipeline, runs = _taken_up(kept, config, run_id, options)
        total = len(pipeline.steps)
        if not 1 <= step <= total:
            raise Refused(f"run {whole} has no step {step}", f"Its steps: {_steps(pipeline)}.")
        try:
            other = changed(pipeline, step, settings, config)
        except ChangeRefused as error:
            raise Refused(f"--set {error}", error.remedy) from error
        request = ForkedRun(
            run_id=whole,
            step=step,
            pipeline=other,
            seed=seed,
            max_cost_usd=max_cost_usd,
            overrides_limits=True,
            consent=consent(yes=yes),
        )

        def note(run: Run) -> str:
            return f"Run {run.run_id} reuses {step - 1} of {counted(total, 'step')} of run {whole}."

        begin = begins(admitted(runs, request), None if quiet else note)
        conclude(watch(runs, other, begin, options), options)


def _taken_up(journal: Journal, config: Config, given: str, options: DisplayOptions) -> tuple[str, Pipeline, Runs]:
    """Return the ID and the pipeline of a run, and all runs."""
    record = anyio.run(find, journal, given)
    backend, _ = ready(config, offline=options.simulated)
    runs = runs_of(config, backend, journal)
    return record.run_id, anyio.run(runs.pipeline_of, record.run_id), runs


def _on_record(trace: Trace, steps: int) -> str:
    paid = sum(any(attempt.completion for attempt in call.attempts) for step in trace.steps for call in step.calls)
    finished = sum(step.seconds is not None for step in trace.steps)
    calls = f"{counted(paid, 'call')} already paid for"
    return f"Resuming {trace.run_id}: {calls}, {finished} of {counted(steps, 'step')} finished."


def _steps(pipeline: Pipeline) -> str:
    return ", ".join(f"{number} {step.step}" for number, step in enumerate(pipeline.steps, 1))
