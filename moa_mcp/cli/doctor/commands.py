"""Whether the command of an entry can be started at all, found without starting it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from moa_mcp.cli.doctor.diagnosis import Diagnosis
from moa_mcp.cli.doctor.hosts import HostEntry
from moa_mcp.cli.launch import CACHE_OF_UV
from moa_mcp.clients.entries import Entry

_FILE_OPTIONS = ("--config", "--journal")
_NETWORK_OPTIONS = ("--http", "--sse")


def of_command(host: HostEntry) -> Iterator[Diagnosis]:
    """Yield what is wrong with an entry. It can be started if nothing is a problem."""
    entry = host.entry
    where = str(host.file or "")
    if not entry.command:
        message = "the entry starts no command; doctor only checks servers that the client starts itself"
        yield Diagnosis("warning", "entry", message, where, remedy=host.by_hand, commands=(host.installing,))
        return
    for name in entry.invalid:
        message = f"the name or the value of the variable {name!r} can't be used, so it is ignored here"
        yield Diagnosis("problem", "entry", message, where, remedy="Correct it: clients may not start the server.")
    if not entry.enabled:
        yield Diagnosis("warning", "entry", "the entry is turned off", where, remedy=f"Turn it on in {host.title}.")
    if problem := _missing(host, entry.command[0]):
        yield Diagnosis("problem", "entry", problem, where, remedy=host.by_hand, commands=(host.installing,))
    network = next((word for word in entry.command if word in _NETWORK_OPTIONS), None)
    if network:
        message = f"{network} serves over a network, but {host.title} talks to a command over stdin and stdout"
        yield Diagnosis("problem", "entry", message, where, remedy=host.by_hand, commands=(host.installing,))
    if CACHE_OF_UV in Path(entry.command[0]).parts:
        message = f"{entry.command[0]} is in uv's cache, and is deleted with it"
        yield Diagnosis("warning", "entry", message, where, remedy=host.by_hand, commands=(host.installing,))
    yield from (_relative(host, each, where) for each in _relative_paths(entry))


def _missing(host: HostEntry, word: str) -> str:
    """Return why a command can't be started; empty if it can."""
    path = shutil.which(word, path=host.environ.get("PATH"))
    if path is not None:
        return _without_interpreter(Path(path))
    if not Path(word).is_absolute():
        found = shutil.which(word)
        elsewhere = f"; your shell finds it at {found}" if found else ""
        return f"there is no command {word!r} in the PATH that {host.title} has{elsewhere}"
    if not Path(word).exists():
        return f"{word} does not exist (any longer)"
    return f"{word} is a folder" if Path(word).is_dir() else f"{word} is not executable"


def _without_interpreter(path: Path) -> str:
    """Return which interpreter of a script is missing, as after its environment was moved; empty if none is."""
    try:
        with path.open("rb") as file:
            first = file.readline(1024).rstrip()
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    words = os.fsdecode(first[2:]).split() if first.startswith(b"#!") else []
    if not words or Path(words[0]).exists():
        return ""
    return f"{path} needs {words[0]}, which does not exist: its environment was moved or deleted"


def _relative_paths(entry: Entry) -> Iterator[str]:
    for word, following in zip_longest(entry.command, entry.command[1:], fillvalue=""):
        option, sign, value = word.partition("=")
        value = value if sign else following
        if option in _FILE_OPTIONS and value not in {"", "none"} and not Path(value).expanduser().is_absolute():
            yield value


def _relative(host: HostEntry, path: str, where: str) -> Diagnosis:
    message = f"the path {path} is relative, and {host.title} may start the server in any folder"
    return Diagnosis("warning", "entry", message, where, remedy="Write an absolute path.")
