"""The entries that `moa-mcp doctor` checks: those in the files of clients, else those that `install` would write."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from msgspec.structs import replace

from moa_mcp import config as configuration
from moa_mcp.cli.client_files import entries_of
from moa_mcp.cli.doctor.diagnosis import Diagnosis
from moa_mcp.cli.launch import by_name, own_command, own_server, shown
from moa_mcp.cli.options import Refused
from moa_mcp.clients.client import NAME, Client, Server
from moa_mcp.clients.entries import Entry, read
from moa_mcp.clients.known import CLIENTS

_ANY = replace(CLIENTS[0], name="", title="MCP client")
"""A client that passes no variables, for a machine without a known client."""
_ELSEWHERE = frozenset({"docker", "kubectl", "nerdctl", "podman", "ssh", "wsl"})
_VALUES = {"--config": "MOA_MCP_CONFIG", "--journal": "MOA_MCP_JOURNAL"}


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A client as it starts the server."""

    entry: Entry
    environ: Mapping[str, str] = field(repr=False)
    """The whole environment of the server."""
    file: Path | None
    """The file with the entry; None if the entry is the one that `install` would write."""

    @property
    def title(self) -> str:
        return self.entry.title

    @property
    def folder(self) -> Path:
        """The folder in which the server is started here. Clients differ in it."""
        home = Path(self.environ.get("HOME") or Path.home())
        return home if home.is_dir() else Path.cwd()

    @property
    def config(self) -> Path | None:
        """The configuration that the entry names; None if it names none."""
        value = self._option("--config")
        return self.folder / Path(value).expanduser() if value else None

    @property
    def journal(self) -> str | None:
        """The journal that the entry names, or ``none``; None if it names none."""
        return self._option("--journal")

    @property
    def is_offline(self) -> bool:
        """Whether the models are simulated."""
        return "--offline" in self.entry.command or bool(self.environ.get("MOA_MCP_OFFLINE"))

    @property
    def elsewhere(self) -> str:
        """The program that runs the server in another place, such as a container; empty if it runs here."""
        words = self.entry.command
        program = Path(words[0]).stem.lower() if words else ""
        return program if program in _ELSEWHERE else ""

    @property
    def installing(self) -> str:
        """The command that writes the entry again."""
        return shown("install", *([self.entry.client.name] if self.entry.client.name else []))

    @property
    def by_hand(self) -> str:
        """What to do before `installing`; empty if that replaces the entry."""
        name = self.entry.name
        return "" if name == NAME else f"Remove the entry {name!r} by hand; this writes one named {NAME!r}:"

    def _option(self, name: str) -> str | None:
        words = self.entry.command
        for word, following in zip_longest(words, words[1:], fillvalue=""):
            if word == name:
                return following or None
            if word.startswith(f"{name}="):
                return word.partition("=")[2] or None
        return self.environ.get(_VALUES[name]) or None


@contextmanager
def as_host(environ: Mapping[str, str]) -> Generator[None]:
    """Replace the environment of this process inside: all checks then see what the server sees."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def hosts(
    clients: Sequence[Client], config_path: Path | None, journal: str | None
) -> tuple[list[HostEntry], list[tuple[str, Diagnosis]]]:
    """Return the entries to check, and what is wrong with the files of clients, each with the client's name.

    Args:
        clients: The clients that the user named; without any, those that are found.
        config_path: The configuration of an entry that `install` would write.
        journal: The journal of such an entry.

    """
    diagnoses: list[tuple[str, Diagnosis]] = []
    written: dict[str, list[HostEntry]] = {}
    lacking: list[Client] = []
    for client in clients or [each for each in CLIENTS if each.is_found(os.environ)]:
        try:
            found = [
                HostEntry(each, each.environment(os.environ), client.path(os.environ)) for each in entries_of(client)
            ]
        except Refused as error:
            diagnoses.append((client.title, _unreadable(client, error)))
            continue
        if found:
            written[client.name] = found
        else:
            lacking.append(client)
    read_hosts = [host for each in written.values() for host in each]
    if read_hosts and not clients:
        diagnoses += [("", _others(lacking))] if lacking else []
        return read_hosts, diagnoses
    wanting = lacking or ([] if read_hosts or diagnoses else [_ANY])
    server = _server(config_path, journal) if wanting else None
    planned = [_planned(each, server) for each in wanting if server]
    diagnoses += [(each.title, _not_installed(each)) for each in planned]
    return [*read_hosts, *planned], diagnoses


def _server(config_path: Path | None, journal: str | None) -> Server:
    try:
        with as_host(dict(os.environ)):  # it adds the keys of the user's file
            return own_server(config_path, journal)
    except Refused:  # an invalid configuration, which is reported with its lines
        command, *args = own_command(config_path or configuration.preferred(), journal)
        return Server(command, tuple(args))


def _planned(client: Client, server: Server) -> HostEntry:
    entry = read(client, NAME, client.entry(by_name(client, server)), os.environ)
    return HostEntry(entry, entry.environment(os.environ), None)


def _not_installed(host: HostEntry) -> Diagnosis:
    if not host.entry.client.name:
        message = "no MCP client was found; what follows is about an entry as install writes it"
        return Diagnosis(
            "warning", "entry", message, remedy="Install a client, then run:", commands=(shown("install"),)
        )
    message = "has no entry for moa-mcp yet; what follows is about the entry that install would write"
    path = str(host.entry.client.path(os.environ))
    return Diagnosis("warning", "entry", message, path, commands=(host.installing,))


def _others(clients: Sequence[Client]) -> Diagnosis:
    titles = ", ".join(each.title for each in clients)
    command = shown("install", *(each.name for each in clients))
    return Diagnosis("ok", "other clients", f"without an entry for moa-mcp: {titles}", commands=(command,))


def _unreadable(client: Client, error: Refused) -> Diagnosis:
    remedy = f"Fix the file: {client.title} can't read it either. The entry to copy into it:"
    command = shown("install", client.name, "--print")
    path = client.path(os.environ)
    message = error.message.removeprefix(f"{path}: ")
    return Diagnosis("problem", "entry", message, str(path), remedy=remedy, commands=(command,))


def repeated(found: Sequence[HostEntry]) -> Iterator[tuple[str, Diagnosis]]:
    """Yield a warning for each client in which several entries start moa-mcp: all of its tools are there twice."""
    for client in dict.fromkeys(each.entry.client.name for each in found):
        names = [each.entry.name for each in found if each.entry.client.name == client and each.entry.enabled]
        if len(names) > 1:
            first = next(each for each in found if each.entry.client.name == client)
            message = f"several entries start moa-mcp: {', '.join(names)}"
            yield (
                first.entry.client.title,
                Diagnosis("warning", "entry", message, str(first.file), remedy=f"Keep one of them, such as {NAME!r}."),
            )
