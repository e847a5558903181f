"""``moa-mcp uninstall``: removes the server from the files of MCP clients."""

from __future__ import annotations

import click

from moa_mcp.cli import client_files, completing
from moa_mcp.cli.client_files import FileChange, chosen, removing
from moa_mcp.cli.options import config_unread
from moa_mcp.cli.text import line, say
from moa_mcp.clients.client import Client
from moa_mcp.clients.known import CLIENTS


@click.command("uninstall", epilog="Exit codes: 0 success; 1 you declined; 2 wrong usage, or a file can't be changed.")
@click.argument("clients", nargs=-1, metavar="[CLIENT]...", shell_complete=completing.clients)
@click.option("-y", "--yes", is_flag=True, help="Change the files without questions.")
@click.option("--dry-run", is_flag=True, help="Show the changes; write nothing.")
@config_unread
def command(clients: tuple[str, ...], yes: bool, dry_run: bool) -> None:
    """Remove the server from MCP clients: all that have it, or each CLIENT.

    A file that has not changed since install is restored exactly. Keys, configuration and stored runs are kept.
    """
    asks = not (yes or dry_run)
    named = chosen(clients)
    if asks:
        client_files.require_terminal("uninstall")
    found: list[Client] = []

    def remove(client: Client) -> bool:
        change = removing(client)
        if change.before == change.after:
            return True
        found.append(client)
        return _remove(client, change, asks=asks, dry_run=dry_run)

    client_files.change_each(named or CLIENTS, remove)
    if not found:
        say("No client has an entry for moa-mcp.")


def _remove(client: Client, change: FileChange, *, asks: bool, dry_run: bool) -> bool:
    """Remove the server from a client; return whether the user agreed."""
    client_files.show(change)
    if dry_run:
        return True
    if asks and not click.confirm(f"Remove moa-mcp from {client.title}?", default=True, err=True):
        return False
    backup = change.write()
    if change.after is None:
        say(f"Deleted {change.path}.")
    elif change.original:
        say(f"Restored {change.path} as it was before install.")
    else:
        say(f"Wrote {change.path}. The old file is now {line(str(backup))}.")
    return True
