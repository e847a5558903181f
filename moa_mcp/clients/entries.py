"""Reads the entries of servers back: the command that a client starts, and the environment that it gives it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from moa_mcp.clients.client import NAME, Client
from moa_mcp.clients.documents import found
from moa_mcp.text.surrogates import is_encodable

_OURS = re.compile(r"(?:.*[/\\])?moa[-_]mcp(?:\.exe)?(?:\[[\w,-]+\])?(?:[@=<>~!].*)?", re.IGNORECASE)
"""A word that names this package: the path of its command, ``moa_mcp``, or a requirement such as ``moa-mcp==1.0``."""
_ANY_REFERENCE = re.compile(r"\$\{(?!input:)[^}]*\}|\$\w+|\{env:\w+\}")
_PASSED = ("HOME", "LOGNAME", "SHELL", "TERM", "USER")
_PASSED_ON_WINDOWS = (
    "APPDATA",
    "HOMEDRIVE",
    "HOMEPATH",
    "LOCALAPPDATA",
    "PATH",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "USERNAME",
    "USERPROFILE",
)
"""What the official MCP SDKs pass to a server."""
_DESKTOP_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
"""The PATH of programs that are started from a desktop: on macOS exactly, elsewhere at least."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a client's file, as the client reads it."""

    client: Client
    name: str
    command: tuple[str, ...]
    """The words of the command; empty if the entry starts none, such as one with a URL."""
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The variables that it sets, with references replaced."""
    unset: tuple[str, ...] = ()
    """Variables to which it refers and that the client does not have."""
    literal: tuple[str, ...] = ()
    """Variables whose value is a reference that the client does not replace."""
    invalid: tuple[str, ...] = ()
    """Variables whose name or value no system accepts."""
    enabled: bool = True
    start_s: float | None = None
    """The seconds that the client waits for the start; None if that is not known."""
    call_s: float | None = None
    """The seconds that the client waits for a tool call; None if that is not known."""

    @property
    def title(self) -> str:
        """The name of the client, with that of the entry if it is unusual."""
        return self.client.title if self.name == NAME else f"{self.client.title} ({self.name})"

    def environment(self, environ: Mapping[str, str], platform: str = sys.platform) -> dict[str, str]:
        """Return the whole environment of the server.

        Args:
            environ: The environment of the client's user. Of it, only what all clients pass is included.
            platform: As in `sys.platform`.

        """
        passed = _PASSED_ON_WINDOWS if platform == "win32" else _PASSED
        kept = {name: environ[name] for name in passed if name in environ}
        return {**kept, **self._path(environ, platform), **self.env}

    def _path(self, environ: Mapping[str, str], platform: str) -> dict[str, str]:
        if platform == "win32":
            return {}
        return {"PATH": environ.get("PATH", _DESKTOP_PATH) if self.client.in_terminal else _DESKTOP_PATH}


def entries(client: Client, document: Mapping[str, object], environ: Mapping[str, str]) -> Iterator[Entry]:
    """Yield the entries of moa-mcp in the document of a client, whatever their names.

    References are replaced from `environ`, as if the client were started there.
    """
    table = found(document, (client.key,))
    for name, raw in cast("Mapping[str, object]", table).items() if isinstance(table, Mapping) else ():
        if isinstance(raw, Mapping):
            entry = read(client, name, cast("Mapping[str, object]", raw), environ)
            if name == NAME or any(_OURS.fullmatch(word) for word in entry.command):
                yield entry


def read(client: Client, name: str, raw: Mapping[str, object], environ: Mapping[str, str]) -> Entry:
    """Return an entry, written in the way of its client."""
    reader = _Reader(client, environ)
    command = tuple(reader.replaced(word) for word in _words(raw))
    replaced = {key: reader.replaced(value) for key, value in _variables(raw)}
    env = {key: value for key, value in replaced.items() if _is_valid(key, value)}
    listed = _names(raw)
    env |= {key: environ[key] for key in listed if environ.get(key)}
    return Entry(
        client,
        name,
        command,
        env,
        unset=tuple(dict.fromkeys((*reader.unset, *(key for key in listed if not environ.get(key))))),
        invalid=tuple(replaced.keys() - env.keys()),
        literal=tuple(key for key, value in env.items() if key not in listed and _ANY_REFERENCE.fullmatch(value)),
        enabled=raw.get("disabled") is not True and raw.get("enabled") is not False,
        start_s=client.start_limit.of(raw) if client.start_limit else None,
        call_s=client.call_limit.of(raw) if client.call_limit else None,
    )


class _Reader:
    """Replaces references as a client does, and keeps the names of those that are not set."""

    def __init__(self, client: Client, environ: Mapping[str, str]) -> None:
        self._pattern = client.references
        self._environ = environ
        self.unset: list[str] = []

    def replaced(self, text: str) -> str:
        return self._pattern.sub(self._value, text) if self._pattern else text

    def _value(self, match: re.Match[str]) -> str:
        name, default = match["name"], match.groupdict().get("default")
        value = self._environ.get(name) or default or ""
        if not value:
            self.unset.append(name)
        return value


def _words(raw: Mapping[str, object]) -> tuple[str, ...]:
    first = raw.get("command", raw.get("cmd"))
    if isinstance(first, list):
        return tuple(map(str, cast("list[object]", first)))
    if not isinstance(first, str) or not first:
        return ()
    args = raw.get("args")
    return (first, *map(str, cast("list[object]", args) if isinstance(args, list) else ()))


def _variables(raw: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key in ("env", "envs", "environment"):
        table = raw.get(key)
        for name, value in cast("Mapping[object, object]", table).items() if isinstance(table, Mapping) else ():
            if value is not None:
                yield str(name), str(value)


def _is_valid(name: str, value: str) -> bool:
    return bool(name) and "=" not in name and "\0" not in name + value and is_encodable(name + value)


def _names(raw: Mapping[str, object]) -> tuple[str, ...]:
    """Return the variables that an entry lists by name."""
    lists = (raw.get(key) for key in ("env_vars", "env_keys"))
    every = [each for names in lists if isinstance(names, list) for each in cast("list[object]", names)]
    return tuple(each for each in every if isinstance(each, str))
