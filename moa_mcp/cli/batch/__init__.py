"""``moa-mcp batch``: asks a pipeline the questions of a file. A line for each goes to the output, in their order."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import get_args

import anyio
import click

from moa_mcp.batch.identity import BatchSettings
from moa_mcp.batch.questions import questions
from moa_mcp.batch.rows import Format
from moa_mcp.batch.spool import spool
from moa_mcp.cli import completing
from moa_mcp.cli.admitting import estimate_option, yes_option
from moa_mcp.cli.asked import asked_options, context_of, models_chosen, schema_of, schema_option
from moa_mcp.cli.batch.source import STDIN, name_of, stored
from moa_mcp.cli.batch.start import StartOptions, prepared
from moa_mcp.cli.many import concurrency_option, retry_failed_option
from moa_mcp.cli.options import (
    Refused,
    closing,
    config_option,
    journal_option,
    loaded,
    named,
    offline_option,
    opened,
    opened_with_queue,
    seconds,
    us_dollars,
)
from moa_mcp.cli.watch import Executing, ready, runs_of
from moa_mcp.errors import JournalError
from moa_mcp.runs.executor import Executor

_EPILOG = """\b
FILE has a question on each line: a text in quotes, or a JSON object with
"question" and, if you like, "id", "context", "system", "seed",
"max_cost_usd" and "deadline_s". In CSV, these are columns.

\b
Exit codes: 0 all answered, 1 some items have no answer, 2 wrong usage or
problems in FILE, 3 no usable provider, 130 or 143 interrupted.
"""


@click.command("batch", epilog=_EPILOG)
@click.argument("pipeline", metavar="PIPELINE", shell_complete=completing.pipelines)
@click.argument("file", metavar="FILE", shell_complete=completing.files)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="Output. Default: stdout.")
@click.option("--format", "form", type=click.Choice(get_args(Format)), help="Of FILE. Default: by its name, or jsonl.")
@click.option("--name", metavar="NAME", help="Name of the batch; another one asks all again. Default: that of FILE.")
@click.option(
    "--context", "context_file", type=click.Path(path_type=Path), metavar="FILE", help="Context for all items."
)
@asked_options
@schema_option
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Random seed of all items. Default: one for each."
)
@click.option(
    "--max-cost",
    "max_cost_usd",
    type=us_dollars,
    metavar="USD",
    help="Budget of the whole batch in US dollars, with its earlier starts.",
)
@click.option(
    "--deadline",
    "deadline_s",
    type=seconds,
    metavar="SECONDS",
    help="Time limit of an item; then its best answer so far.",
)
@concurrency_option("Items that run at the same time.")
@click.option(
    "--submit",
    is_flag=True,
    help="Put runs into the queue of a PostgreSQL journal, for moa-mcp worker, instead of executing them here.",
)
@retry_failed_option
@estimate_option
@click.option("--force", is_flag=True, help="Replace OUT even if it is not of this batch.")
@yes_option
@click.option("-q", "--quiet", is_flag=True, help="Don't print progress and summary.")
@offline_option
@journal_option
@config_option
def command(
    pipeline: str,
    file: str,
    output: Path | None,
    form: Format | None,
    name: str | None,
    context_file: Path | None,
    system: str | None,
    schema_file: Path | None,
    models: str | None,
    aggregator: str | None,
    seed: int | None,
    max_cost_usd: Decimal | None,
    deadline_s: float | None,
    concurrency: int,
    submit: bool,
    retry_failed: bool,
    estimating: bool,
    force: bool,
    yes: bool,
    quiet: bool,
    offline: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Ask PIPELINE all questions of FILE, and write a line of JSON for each.

    FILE is JSON Lines or CSV, or - for stdin. Run the same command again to continue a batch: only what has no result
    yet is paid.
    """
    config = loaded(config_path)
    chosen = models_chosen(named(config, pipeline), models, aggregator, config)
    if deadline_s is not None:
        chosen = chosen.model_copy(update={"deadline_s": deadline_s})
    _check_output(file, output, estimating=estimating)
    settings = BatchSettings(name or name_of(file), seed, context_of(context_file), system, schema_of(schema_file))
    options = StartOptions(
        output, force, max_cost_usd, concurrency, retry_failed, yes, quiet, submit, recorded=journal != "none"
    )
    with spool() as items:
        stored(file, form, items)
        every = questions(config, chosen, settings, items, simulated=offline)
        backend, routes = ready(config, offline=offline)
        store = opened_with_queue(journal, config.journal)[0] if submit else opened(journal, config.journal)
        with closing(store) as kept:
            if not kept.keeps_texts:
                raise Refused(
                    'a batch reads its answers from the journal, and record = "hashes" does not store them',
                    'Set record = "calls" in [journal], or add --journal none: the batch can\'t be continued then.',
                )
            try:
                start = anyio.run(
                    prepared, runs_of(config, backend, kept, _executor(submit=submit)), routes, every, options
                )
                (start.estimate if estimating else start.execute)()
            except JournalError as error:
                raise Refused(str(error), "Choose another journal with --journal.") from error


def _executor(*, submit: bool) -> Executing:
    if not submit:
        return Executor
    from moa_mcp.workers import Submitting  # noqa: PLC0415  the libraries of an extra

    return Submitting


def _check_output(file: str, output: Path | None, *, estimating: bool) -> None:
    """Raise `Refused` if the output would be lost in the terminal, or would replace the questions."""
    if output is None and not estimating and sys.stdout.isatty():
        raise Refused("the output is missing", "Name a file with -o, or pipe stdout to a program.")
    if output is not None and file != STDIN and output.exists() and Path(file).exists() and output.samefile(file):
        raise Refused(f"{output} is the question file", "Choose another file with -o.")
