"""``moa-mcp eval``: an evaluation of pipelines and models on the user's questions."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import get_args

import click

from moa_mcp.batch.rows import Format
from moa_mcp.cli import completing
from moa_mcp.cli.admitting import estimate_option, yes_option
from moa_mcp.cli.asked import context_of
from moa_mcp.cli.eval.evaluating import EvalRequest, evaluate
from moa_mcp.cli.eval.extra import check_extra
from moa_mcp.cli.eval.judging import ScoreOptions
from moa_mcp.cli.eval.outputs import Outputs, points
from moa_mcp.cli.eval.source import Source
from moa_mcp.cli.eval.start import EvalOptions
from moa_mcp.cli.many import concurrency_option, retry_failed_option
from moa_mcp.cli.options import config_option, journal_option, loaded, offline_option, us_dollars
from moa_mcp.extraction.numerals import DecimalMark

_EPILOG = """\b
QUESTIONS has a question on each line: a JSON object with "question" and, if you
like, "answer", "choices", "context", "images", "system", "cluster" and "id". In
CSV, these are columns.

\b
Without --baseline, the samples of the pipelines' first steps are the baselines:
they are single calls of their models, which are paid for anyway.

\b
Exit codes: 0 complete, 1 failed or incomplete, 2 wrong usage or problems in
QUESTIONS, 3 no usable provider, 4 the gate of --fail-under is missed, 130 or 143
interrupted.
"""


@click.command("eval", epilog=_EPILOG)
@click.argument("questions", metavar="QUESTIONS", shell_complete=completing.files)
@click.option(
    "--pipelines",
    metavar="NAMES",
    shell_complete=completing.pipeline_list,
    help="Pipelines, separated by commas. Default: that of the configuration.",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="MODEL",
    shell_complete=completing.model,
    help="Model that answers with one call, and that pipelines are compared with. Repeatable.",
)
@click.option(
    "--score",
    "how",
    metavar="WAY",
    help="auto, text, number, choice, json, judge, pairwise, or FILE.py:FUNCTION. Default: auto.",
)
@click.option("--extract", metavar="VALUE", help="Value of an answer to compare, as in a vote step: {json = 'name'}.")
@click.option("--tolerance", metavar="NUMBER", help="Difference of equal numbers: 0.01, or 1%.")
@click.option("--decimal", type=click.Choice(get_args(DecimalMark)), help="Decimal mark of ambiguous numbers.")
@click.option("--subset", is_flag=True, help="Accept JSON answers with more names than the right ones have.")
@click.option(
    "--judge",
    metavar="MODEL|PIPELINE",
    shell_complete=completing.judge,
    help="Who scores answers, or compares them if the questions have none.",
)
@click.option("--rubric", "rubric_file", type=click.Path(path_type=Path), metavar="FILE", help="Criteria of the judge.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Ask a random sample of the questions.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Random seed of the sample."
)
@click.option("--format", "form", type=click.Choice(get_args(Format)), help="Of QUESTIONS. Default: by its name.")
@click.option(
    "--context",
    "context_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Context for all questions that have none.",
)
@click.option("--system", metavar="TEXT", help="System prompt for all questions that have none.")
@click.option("-T", "arguments", multiple=True, metavar="NAME=VALUE", help="Argument of a task. Repeatable.")
@click.option(
    "--budget",
    "budget_usd",
    type=us_dollars,
    metavar="USD",
    help="Budget of the whole evaluation in US dollars, with its judge and its earlier starts.",
)
@concurrency_option("Runs at the same time.")
@click.option("--name", default="", metavar="NAME", help="Another name asks everything again.")
@retry_failed_option
@estimate_option
@click.option(
    "--fail-under", type=points, metavar="POINTS", help="Exit with 4 unless each gain is at least that high for sure."
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the result as JSON; '-' prints it instead of the tables.",
)
@click.option("--html", "html_file", type=click.Path(path_type=Path), metavar="FILE", help="Write a report.")
@click.option("--png", "png_file", type=click.Path(path_type=Path), metavar="FILE", help="Write score against cost.")
@click.option("--view", "viewing", is_flag=True, help="Open the report in a browser.")
@yes_option
@click.option("-q", "--quiet", is_flag=True, help="Don't print progress.")
@offline_option
@journal_option
@config_option
def command(
    questions: str,
    pipelines: str | None,
    baselines: tuple[str, ...],
    how: str | None,
    extract: str | None,
    tolerance: str | None,
    decimal: DecimalMark | None,
    subset: bool,
    judge: str | None,
    rubric_file: Path | None,
    sample: int | None,
    seed: int,
    form: Format | None,
    context_file: Path | None,
    system: str | None,
    arguments: tuple[str, ...],
    budget_usd: Decimal | None,
    concurrency: int,
    name: str,
    retry_failed: bool,
    estimating: bool,
    fail_under: float | None,
    json_file: Path | None,
    html_file: Path | None,
    png_file: Path | None,
    viewing: bool,
    yes: bool,
    quiet: bool,
    offline: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Evaluate pipelines on QUESTIONS: what they score, gain over one call of a model, and cost.

    QUESTIONS is JSON Lines or CSV, - for stdin, or a task of Inspect: FILE.py@TASK. Run the same command again to
    continue: only what has no result yet is paid.
    """
    check_extra()
    request = EvalRequest(
        Source(questions, form, context_of(context_file), system, sample, seed, arguments),
        pipelines,
        baselines,
        judge,
        ScoreOptions(how, extract, tolerance, decimal, subset, context_of(rubric_file, "--rubric")),
        EvalOptions(name, budget_usd, concurrency, retry_failed, yes, quiet, recorded=journal != "none"),
        Outputs(json_file, html_file, png_file, viewing, fail_under),
        offline,
        journal,
    )
    evaluate(loaded(config_path), request, estimating=estimating)
