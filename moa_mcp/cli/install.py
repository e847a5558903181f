"""``moa-mcp install``: adds the server to the files of MCP clients."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from moa_mcp.cli import client_files, completing
from moa_mcp.cli.client_files import FileChange, chosen, installing
from moa_mcp.cli.launch import by_name, own_server, shown
from moa_mcp.cli.options import Refused, RunFailed, config_option, journal_option
from moa_mcp.cli.text import line, say, written
from moa_mcp.clients.client import Client, Server
from moa_mcp.clients.documents import format_of, merged
from moa_mcp.clients.known import CLIENTS

_NAMES = ", ".join(each.name for each in CLIENTS)


@click.command(
    "install",
    epilog=f"Clients: {_NAMES}.\n\nExit codes: 0 success; 1 you declined; 2 wrong usage, or a file can't be changed; "
    "3 no client was found.",
)
@click.argument("clients", nargs=-1, metavar="[CLIENT]...", shell_complete=completing.clients)
@click.option("-y", "--yes", is_flag=True, help="Change the files without questions.")
@click.option("--dry-run", is_flag=True, help="Show the changes; write nothing.")
@click.option("--print", "print_only", is_flag=True, help="Print the entry for each client; read and write no file.")
@click.option("--link", is_flag=True, help="Print a link for each client that opens it and adds the server.")
@click.option(
    "--with-keys",
    is_flag=True,
    help="Write the values of API keys where a client can't read them by name. Other programs can read them there.",
)
@journal_option
@config_option
def command(
    clients: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    print_only: bool,
    link: bool,
    with_keys: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Add the server to MCP clients: those that are found, or each CLIENT.

    Comments and everything else in their files are kept. A file that is changed gets a backup.
    """
    if link and print_only:
        raise Refused("--link and --print can't be combined", "Use one of them.")
    asks = not (yes or dry_run or print_only or link)
    named = chosen(clients)
    if asks:
        client_files.require_terminal("install")
    targets = named or _found()
    server = own_server(config_path, journal)
    if link:
        _print_links(targets, server, named=bool(clients))
    elif print_only:
        _print_entries(targets, server)
    else:
        add = partial(_add, server=server, asks=asks, dry_run=dry_run, with_keys=with_keys)
        client_files.change_each(targets, add)
        if not dry_run:
            say(f"To check that these clients can start the server and that it has its keys, run {shown('doctor')}.")


def _found() -> list[Client]:
    found = [each for each in CLIENTS if each.is_found(os.environ)]
    if not found:
        raise RunFailed("no MCP client was found", f"Name one: moa-mcp install CLIENT. Clients: {_NAMES}.")
    return found


def _print_links(targets: list[Client], server: Server, *, named: bool) -> None:
    linked = [(each, each.link) for each in targets if each.link]
    if not linked or (named and len(linked) < len(targets)):
        known = ", ".join(each.name for each in CLIENTS if each.link)
        without = ", ".join(each.title for each in targets if not each.link)
        raise Refused(f"no links install servers in {without}", f"Clients with links: {known}.")
    for each, link in linked:
        say(f"{each.title}:")
        written(link(each.entry(by_name(each, server))))


def _print_entries(targets: list[Client], server: Server) -> None:
    for each in targets:
        say(f"{each.title}, {each.path(os.environ)}:")
        written(merged(format_of(each.format), "", each.keys, each.entry(by_name(each, server))).rstrip("\n"))


def _add(client: Client, *, server: Server, asks: bool, dry_run: bool, with_keys: bool) -> bool:
    """Add the server to a client; return whether the user agreed."""
    ready = by_name(client, server)
    if server.names and not client.takes_names and (with_keys or (asks and _asked_for_keys(client, server))):
        ready = replace(server, names=(), values={**server.values, **{name: os.environ[name] for name in server.names}})
    change = installing(client, ready)
    if change.before == change.after:
        say(f"{client.title} already has this entry: {change.path}")
        return True
    client_files.show(change)
    if dry_run:
        return True
    if asks and not click.confirm(f"Add moa-mcp to {client.title}?", default=True, err=True):
        return False
    has_keys = bool(ready.values.keys() & set(server.names))
    _write(change, has_keys=has_keys)
    if server.names and not (client.takes_names or has_keys):
        say(f"{client.title} does not pass these keys to servers. Store them once:")
        say(*(f"  moa-mcp keys set {name}" for name in server.names))
    return True


def _asked_for_keys(client: Client, server: Server) -> bool:
    names = ", ".join(server.names)
    return click.confirm(
        f"{client.title} can't read {names} from your environment. Write the values into its file?",
        default=False,
        err=True,
    )


def _write(change: FileChange, *, has_keys: bool) -> None:
    backup = change.write(private=has_keys)
    old = f" The old file is now {line(str(backup))}." if backup else ""
    say(f"Wrote {change.path}.{old} Restart {change.client.title} to load it.")
    if has_keys and os.name == "posix" and change.path.stat().st_mode & 0o077:
        say(f"Note: other users can read the keys in {change.path}; run chmod 600 {shlex.quote(str(change.path))}")
