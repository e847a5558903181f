"""``moa-mcp runs``: shows, resumes, forks, cancels and deletes stored runs. Related commands share a module."""

from __future__ import annotations

from pathlib import Path

import click

from moa_mcp.cli.groups import Group
from moa_mcp.cli.options import config_option, journal_option, offline_option
from moa_mcp.cli.runs import drive, inspect, tidy
from moa_mcp.cli.runs.backup import backup
from moa_mcp.cli.runs.listing import list_command


class _Commands(Group):
    default = "list"


@click.group(
    "runs",
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"ignore_unknown_options": True},
    epilog="ID is a run ID, the start of one, or 'last'. Exit codes are those of moa-mcp ask.",
)
@offline_option
@journal_option
@config_option
@click.pass_context
def command(ctx: click.Context, offline: bool, journal: str | None, config_path: Path | None) -> None:
    """List, show, resume and fork runs.

    Without a command, lists the runs.
    """
    del offline, journal, config_path  # the commands take them from the context
    if ctx.invoked_subcommand is None:
        command.invoke_default(ctx)


for _each in (list_command, inspect.show, inspect.export, drive.resume, drive.fork, tidy.cancel, tidy.gc, backup):
    command.add_command(_each)
