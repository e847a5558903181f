"""``moa-mcp pipelines``: lists the pipelines and when to use each."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from moa_mcp.cli.draw import console
from moa_mcp.cli.options import config_option, loaded
from moa_mcp.cli.text import counted, json_text, line
from moa_mcp.config import Pipeline
from moa_mcp.planning.plan import Plan, plan

_INDENT = "    "


@click.command("pipelines", epilog="Exit codes: 0 success, 2 error in the configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def command(as_json: bool, config_path: Path | None) -> None:
    """List the pipelines, what each does and when to use it."""
    config = loaded(config_path)
    plans = [(pipeline, plan(pipeline)) for pipeline in config.pipelines.values()]
    if as_json:
        click.echo(json_text([_data(pipeline, planned) for pipeline, planned in plans]))
        return
    out = console()
    for number, (pipeline, planned) in enumerate(plans):
        if number:
            out.print()
        out.print(_heading(pipeline, planned))
        for each in Text(line(pipeline.description)).wrap(out, out.width - len(_INDENT)):
            out.print(Text(_INDENT) + each)


def _data(pipeline: Pipeline, planned: Plan) -> dict[str, object]:
    return {
        "name": pipeline.name,
        "title": pipeline.title,
        "layers": planned.layers,
        "calls": planned.calls,
        "description": pipeline.description,
    }


def _heading(pipeline: Pipeline, planned: Plan) -> Text:
    size = f"{counted(planned.layers, 'layer')}, {counted(planned.calls, 'call')}"
    return Text.assemble((pipeline.name, "bold cyan"), f"  {line(pipeline.title)}", (f"  {size}", "dim"))
