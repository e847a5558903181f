"""``moa-mcp runs``: what is on record, looked at, gone on with and cleared away. A module for each kind of command."""

from __future__ import annotations

from pathlib import Path

import click

from moa_mcp.cli.groups import Group
from moa_mcp.cli.options import config_option, journal_option, offline_option
from moa_mcp.cli.runs import drive, inspect, tidy
from moa_mcp.cli.runs.listing import list_command


class _Commands(Group):
    meant = "list"


@click.group(
    "runs",
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"ignore_unknown_options": True},
    epilog="A run is named by its id, by the beginning of it, or as 'last'. Exit codes are those of moa-mcp ask.",
)
@offline_option
@journal_option
@config_option
@click.pass_context
def command(ctx: click.Context, offline: bool, journal: str | None, config_path: Path | None) -> None:
    """Look at the runs on record, go on with them, fork them.

    Without a command, lists them.
    """
    del offline, journal, config_path  # the commands take them from the context
    if ctx.invoked_subcommand is None:
        command.invoke_meant(ctx)


for _each in (list_command, inspect.show, inspect.export, drive.resume, drive.fork, tidy.cancel, tidy.gc):
    command.add_command(_each)
