"""The command line, the only package that imports click and rich.

Each command has its own module, which is imported when it is used, so that `serve` does not load rich.
"""

from __future__ import annotations

import errno
import os
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moa_mcp.cli.arguments import no_such_option
from moa_mcp.cli.completing import files
from moa_mcp.cli.groups import Group
from moa_mcp.cli.signals import INTERRUPTED, Interrupted
from moa_mcp.cli.text import abandon_stdout
from moa_mcp.garbage import collecting_nothing
from moa_mcp.text.visible import visible

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = (
    "init",
    "install",
    "uninstall",
    "doctor",
    "serve",
    "worker",
    "ask",
    "chat",
    "batch",
    "eval",
    "runs",
    "view",
    "advise",
    "check",
    "keys",
    "callers",
    "pipelines",
    "completion",
)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of a write that a user should see: a full disk, a quota or file size limit, a lost terminal."""

_EPILOG = """\b
Exit codes:
  0    success; a degraded answer prints a warning to stderr
  1    the run failed, or check or doctor found a problem
  2    wrong usage, or an error in the configuration
  3    not started: no usable provider (missing API key or server)
  130  interrupted (143 by SIGTERM); the run can be resumed
"""


class Commands(Group):
    """The commands by name. Without a name, options belong to `serve`."""

    default = "serve"

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def named(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names only: descriptions would take the import of every command."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  only a completion needs it

        return [CompletionItem(name) for name in self.list_commands(ctx) if name.startswith(incomplete)]

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
            message = error.format_message()
            if visible(message) == message:
                raise
            raise click.UsageError(visible(message), error.ctx) from error
        except OSError as error:
            if error.errno not in _FULL:
                raise
            abandon_stdout()
            raise click.ClickException(f"can't write the output: {error.strerror}") from error
        except (KeyboardInterrupt, click.Abort) as interrupt:
            with suppress(OSError):  # the terminal may be gone
                click.echo(visible(str(interrupt) or "Interrupted."), err=True)
                sys.stdout.flush()
            # An orderly exit would wait for threads, such as one that imports litellm.
            os._exit(interrupt.exit_code if isinstance(interrupt, Interrupted) else INTERRUPTED)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True},
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), metavar="PATH", help="Configuration file.")
@click.option("--journal", metavar="PATH", shell_complete=files, help="Journal that stores runs, or 'none'.")
@click.option("--offline", is_flag=True, help="Simulate the models: no API key, no network, no cost.")
@click.version_option(package_name="moa-mcp", message="%(prog)s %(version)s")
@click.pass_context
def commands(ctx: click.Context, config_path: Path | None, journal: str | None, offline: bool) -> None:
    """Ask several language models and combine their answers (Mixture-of-Agents), from the terminal or over MCP.

    Without a command, starts the MCP server on stdio, like moa-mcp serve.
    """
    del config_path, journal, offline  # the commands take them from the context
    warnings.simplefilter("ignore")  # warnings of libraries, which a user can't fix
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the parent process
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")
    if ctx.invoked_subcommand is None:
        commands.invoke_default(ctx)
