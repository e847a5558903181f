"""The command line, the only place that knows click and rich.

Each command is a module of its own, imported when it is asked for, so that serving loads nothing that only draws.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click

from moa_mcp.cli.arguments import no_such_option
from moa_mcp.cli.groups import Group
from moa_mcp.cli.signals import INTERRUPTED, Interrupted
from moa_mcp.cli.text import abandon_stdout
from moa_mcp.garbage import collecting_nothing
from moa_mcp.text.visible import visible

COMMANDS = ("serve", "ask", "runs", "check", "pipelines")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""How writing fails that nobody has ended: a full disk, an end of a file's limit, a terminal that is gone."""

_EPILOG = """\b
Exit codes:
  0    answered; also if degraded, with a warning on stderr
  1    the run failed, or check found something
  2    wrong usage, or a fault in the configuration
  3    nothing was asked: too few models can be reached, keys are missing
  130  interrupted, 143 by SIGTERM; a run can be resumed
"""


class Commands(Group):
    """The commands by name. Without one, or with options alone, the server is meant."""

    meant = "serve"

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        with collecting_nothing():
            command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if error.ctx is None or error.possibilities is None:
                raise
            raise no_such_option(error.option_name, error.ctx) from error
        except click.UsageError as error:  # it may quote an argument
            said = error.format_message()
            if visible(said) == said:
                raise
            raise click.UsageError(visible(said), error.ctx) from error
        except OSError as error:
            if error.errno not in _FULL:
                raise
            abandon_stdout()
            raise click.ClickException(f"the output can't be written: {error.strerror}") from error
        except (KeyboardInterrupt, click.Abort) as interrupt:
            with suppress(OSError):  # the terminal may be gone
                click.echo(visible(str(interrupt) or "Interrupted."), err=True)
                sys.stdout.flush()
            # Threads, such as one that imports litellm, would hold up an orderly exit.
            os._exit(interrupt.exit_code if isinstance(interrupt, Interrupted) else INTERRUPTED)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True},
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), metavar="PATH", help="Configuration to use.")
@click.option("--journal", metavar="PATH", help="File that keeps the runs, or none.")
@click.option("--offline", is_flag=True, help="Simulate the models: no key, no network, no cost.")
@click.version_option(package_name="moa-mcp", message="%(prog)s %(version)s")
@click.pass_context
def commands(ctx: click.Context, config_path: Path | None, journal: str | None, offline: bool) -> None:
    """Put questions to panels of language models: Mixture-of-Agents pipelines as MCP tools.

    Without a command, serves MCP over stdio, as `moa-mcp serve` does.
    """
    del config_path, journal, offline  # the commands take them from the context
    warnings.simplefilter("ignore")  # those of libraries, which no user can do anything about
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # whoever started this has closed it
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")
    if ctx.invoked_subcommand is None:
        commands.invoke_meant(ctx)
