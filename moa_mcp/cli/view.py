"""``moa-mcp view``: a web page of the recorded runs, on this machine, live."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import click

from moa_mcp.cli import completing
from moa_mcp.cli.options import Refused, config_unread, journal_name, journal_option, opened
from moa_mcp.cli.runs.record import absent, find, journal_of
from moa_mcp.cli.text import say
from moa_mcp.config import JournalSettings
from moa_mcp.garbage import collecting_nothing
from moa_mcp.journal import Journal
from moa_mcp.journal.address import is_database

if TYPE_CHECKING:
    from moa_mcp.viewing import Viewing


@click.command(
    "view",
    epilog="Exit codes: 2 wrong usage, unusable journal or port; 130 ended by Ctrl-C.",
)
@click.argument("run_id", metavar="[ID]", required=False, shell_complete=completing.runs)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="Port to listen on.  [default: a free one]"
)
@click.option("--no-open", is_flag=True, help="Print the address and open no browser.")
@journal_option
@config_unread
def command(run_id: str | None, port: int, no_open: bool, journal: str | None) -> None:
    """Show the recorded runs in a browser, live.

    ID is a run ID, the start of one, or 'last'; without it, the page lists all runs. Only this machine can open the
    page, with the key in its address. It never starts or changes a run.
    """
    found = None if run_id is None else _found(run_id, journal)
    with collecting_nothing():
        from moa_mcp.viewing import CannotView, Viewing  # noqa: PLC0415  errors above need not wait for a web server
    with read_alone(journal) as kept:
        try:
            viewing = Viewing(kept, journal_name(journal), port)
        except CannotView as error:
            raise Refused(str(error), "Choose another port with --port, or none to use a free one.") from error
        served(viewing, found, opens=not no_open)


def served(viewing: Viewing, run_id: str | None = None, *, opens: bool) -> None:
    """Print the address of a run, or that of the first page, and serve it until Ctrl-C."""
    with closing(viewing):
        click.echo(viewing.address(run_id))
        say("The address has a key for this browser and this process. Press Ctrl-C to stop.")
        sys.stdout.flush()
        if opens and _has_browser():
            _open(viewing.address_once(run_id))
        viewing.serve()


def _found(run_id: str, journal: str | None) -> str:
    with journal_of(journal) as kept:
        return anyio.run(find, kept, run_id).run_id


@contextmanager
def read_alone(path: str | None) -> Generator[Journal]:
    """Open the journal to read it alone, and close it at the end. A file that does not exist is not created."""
    missing = absent(path)
    try:
        journal = opened(path, JournalSettings(), at_once=not missing, only_reads=True)
    except Refused as error:
        another = "Choose another journal with --journal PATH."
        raise Refused(error.message, error.remedy if is_database(path) else another) from error
    try:
        yield journal
    finally:
        anyio.run(journal.close)


def _has_browser() -> bool:
    """Whether a browser can open beside the terminal. One inside it would hide the address."""
    return sys.platform != "linux" or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"))
    )


def _open(address: str) -> None:
    def work() -> None:
        with suppress(webbrowser.Error, OSError):  # the address is on the terminal
            webbrowser.open(address)

    threading.Thread(target=work, daemon=True).start()
