"""``moa-mcp ask``: asks a pipeline a question. The answer goes to stdout, everything else to stderr."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import click
from rich.text import Text

from moa_mcp.budget.worst_case import data
from moa_mcp.cli import completing, costs, draw
from moa_mcp.cli.admitting import consent, estimate_option, yes_option
from moa_mcp.cli.arguments import QuestionCommand
from moa_mcp.cli.asked import (
    answered,
    asked_options,
    context_of,
    context_option,
    continue_option,
    deadline_option,
    decoded,
    images_given,
    models_chosen,
    schema_of,
    schema_option,
)
from moa_mcp.cli.options import (
    Refused,
    closing,
    config_option,
    journal_option,
    loaded,
    max_cost_option,
    offline_option,
    opened,
)
from moa_mcp.cli.remedies import Remedies
from moa_mcp.cli.runs.record import journal_of
from moa_mcp.cli.screen import DisplayOptions
from moa_mcp.cli.text import json_text
from moa_mcp.cli.watch import conclude, ready, runs_of
from moa_mcp.cli.words import earlier_run, understood
from moa_mcp.config import Config
from moa_mcp.planning.estimate import Estimate
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import NewRun, estimated
from moa_mcp.values import Question


@click.command(
    "ask",
    cls=QuestionCommand,
    epilog="Exit codes: 0 answered, 1 failed or not valid by --schema, 2 wrong usage, 3 no usable provider, 130 or 143 "
    "interrupted.",
    context_settings={"allow_extra_args": True},
)
@click.argument("pipeline", required=False, metavar="[PIPELINE]", shell_complete=completing.pipelines)
@click.argument("question", required=False)
@context_option
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="FILE|URL",
    shell_complete=completing.files,
    help="Image for the question: a file or an https address. Repeatable.",
)
@continue_option
@asked_options
@schema_option
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Random seed.")
@max_cost_option
@deadline_option
@click.option("--json", "as_json", is_flag=True, help="Print the result and the full trace as JSON.")
@estimate_option
@yes_option
@click.option("-q", "--quiet", is_flag=True, help="Don't print the trace.")
@offline_option
@journal_option
@config_option
def command(
    pipeline: str | None,
    question: str | None,
    context_file: Path | None,
    images: tuple[str, ...],
    continue_run: str | None,
    system: str | None,
    schema_file: Path | None,
    models: str | None,
    aggregator: str | None,
    seed: int | None,
    max_cost_usd: Decimal | None,
    deadline_s: float | None,
    as_json: bool,
    estimating: bool,
    yes: bool,
    quiet: bool,
    offline: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Ask PIPELINE a QUESTION and print the answer.

    Without PIPELINE, the question goes to that of the run that it continues, or to the default of the configuration.
    If QUESTION is missing or "-", it is read from stdin. The answer goes to stdout, the trace to stderr.
    """
    config = loaded(config_path)
    earlier = earlier_run(continue_run, journal)
    named, text = understood(config, pipeline, question, earlier)
    chosen = models_chosen(named, models, aggregator, config)
    context = context_of(context_file)
    given = Question(_question(text, chosen.name), context, system, images=images_given(images))
    asked = chosen.asked(replace(given, answer_schema=schema_of(schema_file)))
    providers = ready(config, offline=offline)
    if estimating:
        asked = asked if earlier is None else _following(config, journal, providers[0], earlier.run_id, asked)
        _show_estimate(*anyio.run(estimated, config, providers[0], chosen, asked), as_json=as_json)
        return
    options = DisplayOptions(offline, as_json, quiet, Remedies(config, journal, config_path, offline=offline))
    request = NewRun(
        pipeline=chosen,
        question=asked,
        seed=seed,
        max_cost_usd=max_cost_usd,
        deadline_s=deadline_s,
        overrides_limits=True,
        consent=consent(yes=yes),
        continues=earlier.run_id if earlier else "",
    )
    with closing(opened(journal, config.journal)) as kept:
        conclude(answered(config, kept, request, providers, options), options)


def _following(config: Config, journal: str | None, backend: Backend, run_id: str, question: Question) -> Question:
    """Return the question with the turns of the run that it follows. Raises `Refused`."""
    with journal_of(journal) as kept:
        return anyio.run(runs_of(config, backend, kept).following, run_id, question)


def _show_estimate(estimated: Estimate, enough: Decimal, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_text(data(estimated, enough)))
        return
    out = draw.console()
    costs.show(out, estimated)
    if estimated.cost_usd is not None and estimated.cost_usd.max:
        note = f"- --max-cost {enough} covers the worst-case cost of every call; a lower budget may skip calls."
        out.print(Text(note, style="dim"))


def _question(given: str | None, pipeline: str) -> str:
    """Return the question: the argument, or else the text on stdin. Raises `Refused`."""
    remedy = f'Pass it as an argument, moa-mcp ask {pipeline} "Why is the sky blue?", or on stdin.'
    if further := click.get_current_context().args:
        whole = shlex.quote(" ".join([given or "", *further]))
        raise Refused(f"the question is split into several arguments; the first is {given!r}", f"Quote it: {whole}")
    if given is None and sys.stdin.isatty():
        raise Refused("the question is missing", remedy)
    if given is not None and given != "-":
        text, source = given, "the question"
    else:
        text, source = decoded("stdin", sys.stdin.buffer.read()).strip(), "the question on stdin"
    if not text.strip():
        raise Refused(f"{source} is empty", remedy)
    return text
