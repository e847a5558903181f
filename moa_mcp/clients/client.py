"""An MCP client: where its file is, and how it writes an entry for a server that it starts."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct

from moa_mcp.clients.documents import FormatName, Keys

NAME = "moa"
"""The name of the server in every client."""
_REFERENCES = {
    "${NAME:-}": re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}"),
    "${env:NAME}": re.compile(r"\$\{env:(?P<name>\w+)\}"),
    "${NAME}": re.compile(r"\$(?P<brace>\{)?(?P<name>\w+)(?(brace)\})"),
    "{env:NAME}": re.compile(r"\{env:(?P<name>\w+)\}"),
}
"""By the form in which a client writes references: all that it reads as one."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Server:
    """The command that starts the server, and its environment."""

    command: str
    """An absolute path: clients that are started from a desktop have another PATH than a shell."""
    args: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Variables with keys, to be written by name."""
    values: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables whose values are written."""


class TimeLimit(NamedTuple):
    """How long a client waits for a server."""

    seconds: float | None
    """Without a setting; None if that is not known."""
    key: str = ""
    """The key of an entry that sets it; empty if an entry can't."""
    unit_s: float = 1.0
    """The unit of that key, in seconds."""

    def of(self, entry: Mapping[str, object]) -> float | None:
        """Return the seconds for an entry; None if they are not known."""
        value = entry.get(self.key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value * self.unit_s
        return self.seconds


Shape: TypeAlias = Callable[[Server, Callable[[Server], dict[str, str]]], dict[str, Any]]
"""Makes the entry of a server; the second argument returns its environment as the client writes it."""


class Client(Struct, frozen=True):
    """An MCP client, as its documentation describes it.

    Paths begin with ``~``, ``${CONFIG}`` (XDG_CONFIG_HOME or ~/.config), ``${APP}`` (where the platform keeps data of
    applications) or a variable of the client with its default, such as ``${CODEX_HOME:-~/.codex}``.
    """

    name: str
    """What a user writes after ``moa-mcp install``."""
    title: str
    files: tuple[str, ...]
    """The first file that exists is used, else the first one."""
    format: FormatName
    key: str
    """The key of the table of servers."""
    shape: Shape
    reference: str | None = None
    """How a value refers to the environment variable NAME; None if the client can't."""
    by_list: bool = False
    """Whether the entry has a list of names in place of references."""
    programs: tuple[str, ...] = ()
    """Commands that show that the client is installed."""
    windows_files: tuple[str, ...] = ()
    """Other paths on Windows, if any."""
    start_limit: TimeLimit | None = None
    """How long it waits for a server to start; None if that is not documented."""
    call_limit: TimeLimit | None = None
    """How long it waits for a tool call; None if that is not documented."""
    in_terminal: bool = False
    """Whether it is started in a terminal, and so with the environment of a shell."""
    link: Callable[[Mapping[str, Any]], str] | None = None
    """Makes a link that installs an entry; None if the client has no such links."""

    @property
    def keys(self) -> Keys:
        """The place of the entry."""
        return self.key, NAME

    @property
    def takes_names(self) -> bool:
        """Whether keys can be written by name."""
        return self.by_list or self.reference is not None

    @property
    def references(self) -> re.Pattern[str] | None:
        """The references to variables that it replaces in an entry; None if it replaces none."""
        return _REFERENCES.get(self.reference or "")

    def paths(self, environ: Mapping[str, str], platform: str = sys.platform) -> Iterator[Path]:
        """Yield the paths of its file."""
        files = self.windows_files if platform == "win32" and self.windows_files else self.files
        for each in files:
            yield Path(_expanded(each, environ, platform))

    def path(self, environ: Mapping[str, str], platform: str = sys.platform) -> Path:
        """Return the path of its file, which may not exist."""
        paths = list(self.paths(environ, platform))
        return next((path for path in paths if path.exists()), paths[0])

    def is_found(self, environ: Mapping[str, str], platform: str = sys.platform) -> bool:
        """Return whether the client seems to be installed: its file, the folder of its file or a command is there."""
        home = Path(_expanded("~", environ, platform))
        paths = list(self.paths(environ, platform))
        there = any(path.exists() or (path.parent != home and path.parent.is_dir()) for path in paths)
        return there or any(shutil.which(program, path=environ.get("PATH")) for program in self.programs)

    def entry(self, server: Server) -> dict[str, Any]:
        """Return the entry of a server."""
        return self.shape(server, self._environment)

    def _environment(self, server: Server) -> dict[str, str]:
        reference = self.reference
        names = {name: reference.replace("NAME", name) for name in server.names} if reference else {}
        return {**names, **server.values}


def _expanded(path: str, environ: Mapping[str, str], platform: str) -> str:
    home = environ.get("USERPROFILE" if platform == "win32" else "HOME") or os.path.expanduser("~")  # noqa: PTH111
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    match platform:
        case "win32":
            app = environ.get("APPDATA") or f"{home}/AppData/Roaming"
        case "darwin":
            app = f"{home}/Library/Application Support"
        case _:
            app = config
    own = {"CONFIG": config, "APP": app}
    whole = _VARIABLE.sub(lambda match: own.get(match[1]) or environ.get(match[1]) or match[2] or "", path)
    return home + whole[1:] if whole.startswith("~") else whole
