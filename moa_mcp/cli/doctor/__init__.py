"""``moa-mcp doctor``: starts the server as MCP clients do and finds what is wrong. It calls no model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import click
from rich.text import Text

from moa_mcp.cli import completing, draw
from moa_mcp.cli.client_files import chosen
from moa_mcp.cli.doctor import report
from moa_mcp.cli.doctor.commands import of_command
from moa_mcp.cli.doctor.diagnosis import Diagnosis, sections
from moa_mcp.cli.doctor.hosts import HostEntry, as_host, hosts, repeated
from moa_mcp.cli.doctor.journal import of_journal
from moa_mcp.cli.doctor.models import of_endings, of_limits, of_pipelines, of_servers
from moa_mcp.cli.doctor.proxy import of_proxy
from moa_mcp.cli.doctor.starts import Starts, of_starts
from moa_mcp.cli.doctor.surroundings import Shell, in_shell, of_configuration, of_keys, surroundings
from moa_mcp.cli.options import FAILED, config_option, journal_option, seconds
from moa_mcp.cli.signals import Interrupted, ended_as_by_ctrl_c
from moa_mcp.cli.text import json_text, line
from moa_mcp.clients.known import CLIENTS
from moa_mcp.routing import env_file

_PACKAGES = ("moa-mcp", "mcp", "litellm")


@click.command(
    "doctor",
    epilog=f"Clients: {', '.join(each.name for each in CLIENTS)}.\n\n"
    "Exit codes: 0 no problem, perhaps warnings; 1 a problem; 2 wrong usage.",
)
@click.argument("clients", nargs=-1, metavar="[CLIENT]...", shell_complete=completing.clients)
@click.option(
    "--timeout",
    "timeout_s",
    type=seconds,
    default="30",
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for each start of the server.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@journal_option
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    clients: tuple[str, ...],
    timeout_s: float,
    as_json: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Find out why an MCP client can't use the server: all clients that are found, or each CLIENT.

    Starts each entry as its client does, without your shell's environment. No model is called, and no file is changed.
    --config and --journal are those of an entry that install has not written yet.
    """
    found, diagnoses = hosts(chosen(clients), config_path, journal)
    doctor = _Doctor(Starts(timeout_s))
    with ended_as_by_ctrl_c() as ending:
        try:
            with draw.console(stderr=True).status("", spinner="line") as status:
                for host in found:
                    status.update(Text(f"Starting the server as {line(host.title)} does"))
                    diagnoses += [(host.title, each) for each in doctor.diagnosed(host)]
        except KeyboardInterrupt as interrupt:
            raise Interrupted("Interrupted; the servers that were started are ended.", ending.exit_code) from interrupt
    diagnoses += [*repeated(found), ("", _versions())]
    shown = list(sections((title, each.without_keys(doctor.environments)) for title, each in diagnoses))
    if as_json:
        click.echo(json_text(report.data(shown, found, doctor.environments)))
    else:
        report.show(draw.console(), shown)
    ctx.exit(FAILED if any(each.level == "problem" for _, each in diagnoses) else 0)


class _Doctor:
    """Checks one client after the other."""

    def __init__(self, starts: Starts) -> None:
        self._starts = starts
        self._shell = dict(os.environ)
        self._here = Shell.here()
        self.environments: list[Mapping[str, str]] = [self._shell, env_file.read().values]
        """All environments with keys that a message may hold."""

    def diagnosed(self, host: HostEntry) -> Iterator[Diagnosis]:
        """Yield what is found about one client."""
        self.environments.append(host.environ)
        entry = list(of_command(host))
        yield from entry
        if host.entry.command and all(each.level != "problem" for each in entry):
            yield from of_starts(host, self._starts.of(host))
        if host.elsewhere:
            return
        with as_host(host.environ):
            yield from list(self._surroundings(host))

    def _surroundings(self, host: HostEntry) -> Iterable[Diagnosis]:
        config, found = of_configuration(host, self._here)
        yield from found
        if config is not None:
            seen = surroundings(host, config, in_shell(config, self._shell))
            self.environments.append(dict(os.environ))  # with the keys of the user's file and of the keychain
            yield from of_keys(host, seen, self._here)
            yield from of_pipelines(host, seen, self._here)
            yield from of_endings(seen)
            yield from of_servers(seen)
            yield from of_limits(host, seen)
        yield from of_proxy(host, self._shell)
        yield from of_journal(host, self._here)


def _versions() -> Diagnosis:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return Diagnosis("ok", "versions", f"{packages}, Python {python_version()} at {line(sys.executable)}")
