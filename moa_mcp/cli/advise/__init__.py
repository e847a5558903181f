"""``moa-mcp advise``: what to change, from evaluations and recorded runs. It calls no model and spends nothing."""

from __future__ import annotations

from pathlib import Path

import click

from moa_mcp.cli.ages import moment
from moa_mcp.cli.options import config_option, journal_option

_EPILOG = """\b
Exit codes:
  0  success, also if nothing is recommended
  1  there is nothing to advise on: no evaluation and no recorded run
  2  wrong usage, a file that is not an evaluation, or an error in the configuration
"""


@click.command("advise", epilog=_EPILOG)
@click.argument("evaluations", nargs=-1, metavar="[EVALUATION.json]...", type=click.Path(path_type=Path))
@click.option("--pipelines", metavar="A,B", help="Only advice on these pipelines, separated by commas.")
@click.option("--json", "json_path", metavar="FILE", help="Also write all numbers as JSON; '-' prints them instead.")
@click.option("--since", metavar="AGE", help="Only runs and stored evaluations since then: 30d, 12h or 2026-11-01.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Divides the questions on which the threshold of a cascade is chosen and reported.",
)
@journal_option
@config_option
def command(
    evaluations: tuple[Path, ...],
    pipelines: str | None,
    json_path: str | None,
    since: str | None,
    seed: int,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Say what to change in your pipelines, from evaluations and recorded runs.

    EVALUATION.json are files of moa-mcp eval --json; without them, the stored evaluations are read. No model is
    called, and nothing is spent.
    """
    from moa_mcp.cli.advise.sources import Sources, check_installed  # noqa: PLC0415  only this command needs them

    check_installed()
    from moa_mcp.cli.advise import output  # noqa: PLC0415  statistics take a second to load

    named = tuple(each.strip() for each in (pipelines or "").split(",") if each.strip())
    sources = Sources(evaluations, named, moment("--since", since), journal, config_path)
    found = output.advice(sources, seed)
    if json_path != "-":
        output.show(found)
    if json_path is not None:
        output.write(found, json_path)
