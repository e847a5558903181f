"""Files of MCP clients: what `install` and `uninstall` would change in them, shown and then written."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path

import click
from msgspec import Struct

from moa_mcp.cli.options import Refused, RunFailed, nearest
from moa_mcp.cli.replacing import backups, replaced
from moa_mcp.cli.text import line, say
from moa_mcp.clients.client import Client, Server
from moa_mcp.clients.documents import NotEditable, format_of, merged, produces, without
from moa_mcp.clients.entries import Entry, entries
from moa_mcp.clients.known import CLIENTS
from moa_mcp.text.redact import MASK, redact
from moa_mcp.text.visible import visible

_BY_NAME = {each.name: each for each in CLIENTS}
_CONTEXT_LINES = 2
_LONGEST_LINE = 160
_SECRET = re.compile(
    r"""((?:key|token|secret|password|auth\w*)["']?\s*[:=]\s*["']?)([^"'\s,${\[][^"',]*|\$[^{\s"',][^"',]*)""",
    re.IGNORECASE,
)
_PRIVATE = 0o600


class FileChange(Struct, frozen=True):
    """A change of a client's file."""

    client: Client
    path: Path
    before: str | None
    """None if there is no file."""
    after: str | None
    """None if the file is to be deleted."""
    original: Path | None = None
    """The backup that is to be restored, with this text; None if the text is to be written."""

    def diff(self) -> Iterator[str]:
        """Yield the lines of a diff, without keys and shortened."""
        before, after = ((text or "").splitlines() for text in (self.before, self.after))
        for each in unified_diff(before, after, str(self.path), str(self.path), n=_CONTEXT_LINES, lineterm=""):
            shown = visible(_SECRET.sub(rf"\1{MASK}", redact(each))).rstrip("\n")
            yield shown if len(shown) <= _LONGEST_LINE else f"{shown[: _LONGEST_LINE - 1]}…"

    def write(self, *, private: bool = False) -> Path | None:
        """Write, restore or delete the file, and return its new backup, if any.

        A new file is readable by its owner alone if it is `private`. Raises `Refused`.
        """
        if content(self.path) != self.before:
            raise RunFailed(f"{self.path} was changed by another program", "Run this command again.")
        try:
            if self.original is not None:
                self.original.replace(os.path.realpath(self.path))
            elif self.after is None:
                self.path.unlink()
            else:
                return replaced(self.path, self.after, _PRIVATE if private else 0o666)
        except OSError as error:
            message = f"{self.path} can't be written: {error.strerror}"
            raise Refused(message, "Make it and its folder writable, or see --print.") from error
        return None


def chosen(names: tuple[str, ...]) -> list[Client]:
    """Return the clients with these names. Raises `Refused`."""
    for name in names:
        if name not in _BY_NAME:
            known = ", ".join(_BY_NAME)
            raise Refused(f"there is no client {name!r}{nearest(name, _BY_NAME)}", f"Clients: {known}.")
    return [_BY_NAME[name] for name in dict.fromkeys(names)]


def require_terminal(command: str) -> None:
    """Refuse a command that asks questions without a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(
            f"{command} asks questions, which needs a terminal",
            "Add --yes to change the files, or --dry-run to see the changes.",
        )


def change_each(clients: Iterable[Client], change: Callable[[Client], bool]) -> None:
    """Change the file of each client; `change` returns whether the user confirmed.

    A file that can't be changed is reported, and the others are changed anyway. Exits if not all were changed.
    """
    failed = declined = False
    for each in clients:
        try:
            declined |= not change(each)
        except Refused as problem:
            say(f"Error: {problem.message}", problem.remedy)
            failed = True
    if failed:
        raise click.exceptions.Exit(Refused.exit_code)
    if declined:
        raise click.exceptions.Exit(RunFailed.exit_code)


def content(path: Path) -> str | None:
    """Return the text of a file; None if it does not exist. Raises `Refused`."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe or a device may never end
            raise Refused(f"{path} can't be read: it is not a regular file", "Remove it, or see --print.")
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        text = error.object[: error.start].decode()
        place = NotEditable.at(text, len(text), "not UTF-8")
        raise Refused(f"{path}: {place}", "Save the file as UTF-8.") from error
    except OSError as error:
        raise Refused(f"{path} can't be read: {error.strerror}", "Make it readable, or see --print.") from error


def entries_of(client: Client) -> list[Entry]:
    """Return the entries of moa-mcp in a client's file, as the client reads them here. Raises `Refused`."""
    path = client.path(os.environ)
    text = content(path)
    if text is None:
        return []
    with _located(path):
        return list(entries(client, format_of(client.format).read(text), os.environ))


def installing(client: Client, server: Server) -> FileChange:
    """Return the change that adds the server to a client's file. Raises `Refused`."""
    path = client.path(os.environ)
    before = content(path)
    with _located(path):
        after = merged(format_of(client.format), before or "", client.keys, client.entry(server))
    return FileChange(client, path, before, after)


def removing(client: Client) -> FileChange:
    """Return the change that removes the server from a client's file.

    If nothing else has changed since the server was added, it restores the file as it was, or deletes a file that
    `install` created. Raises `Refused`.
    """
    path = client.path(os.environ)
    before = content(path)
    if before is None:
        return FileChange(client, path, None, None)
    syntax = format_of(client.format)
    with _located(path):
        after: str | None = without(syntax, before, client.keys)
    if after == before:
        return FileChange(client, path, before, after)
    older = {each: text for each in backups(path) if (text := _readable(each)) is not None}
    for backup, text in older.items():
        if produces(syntax, text, client.keys, before):
            return FileChange(client, path, before, text, backup)
    if not older and produces(syntax, "", client.keys, before):
        after = None
    return FileChange(client, path, before, after)


def show(change: FileChange) -> None:
    """Print a change."""
    click.echo(f"{change.client.title}: {line(str(change.path))}")
    if change.after is None:
        click.echo("The file was created by install, and would be deleted.")
    for each in change.diff():
        click.echo(each)


def _readable(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


@contextmanager
def _located(path: Path) -> Generator[None]:
    """Refuse a file that can't be changed, by its path."""
    try:
        yield
    except NotEditable as error:
        remedy = "The file is unchanged. Fix it, or copy the entry of --print into it."
        raise Refused(f"{path}: {error}", remedy) from error
