"""Starts an entry as its client does, with the older and the newest protocol, and says what was seen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from moa_mcp.cli.doctor.diagnosis import Diagnosis, Level
from moa_mcp.cli.doctor.hosts import HostEntry
from moa_mcp.cli.launch import shown
from moa_mcp.cli.text import counted, line
from moa_mcp.server.readiness import ALL_READY

if TYPE_CHECKING:
    from moa_mcp.clients.probe import Start

_NAME = "moa-mcp"
_PREFERRED_SHARE = 0.5
"""The share of a client's time limit above which a start is slow: the first one after an update takes longer."""


class Starts:
    """Starts each distinct command once, although several clients may have it."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._seen: dict[object, tuple[Start, ...]] = {}

    def of(self, host: HostEntry) -> tuple[Start, ...]:
        """Return a start with ``initialize``, and one with the newest protocol unless the first one failed."""
        key = (host.entry.command, tuple(sorted(host.environ.items())))
        if key not in self._seen:
            self._seen[key] = anyio.run(self._started, host)
        return self._seen[key]

    async def _started(self, host: HostEntry) -> tuple[Start, ...]:
        from moa_mcp.clients.probe import started  # noqa: PLC0415  it loads the client of mcp

        start = partial(started, host.entry.command, host.environ, str(host.folder), timeout_s=self._timeout_s)
        first = await start(era="legacy")
        return (first, await start(era="auto")) if first.outcome == "listed" else (first,)


def of_starts(host: HostEntry, starts: tuple[Start, ...]) -> Iterator[Diagnosis]:
    """Yield what the starts showed."""
    failed = next((each for each in starts if each.outcome != "listed"), None)
    if failed is not None:
        yield _failed(host, failed, newest=failed is not starts[0])
    else:
        yield _listed(host, starts)
        yield from _identity(host, starts[-1])
        yield from [_ready(host, starts[0])] if host.elsewhere else []
    noisy = next((each for each in starts if each.noises), None)
    if noisy is not None:
        yield _noise(noisy)


def _listed(host: HostEntry, starts: tuple[Start, ...]) -> Diagnosis:
    first = starts[0]
    protocols = " and ".join(dict.fromkeys(each.protocol for each in starts))
    message = f"{counted(len(first.tools), 'tool')} after {first.seconds:.1f} s (protocol {protocols})"
    limit = host.entry.start_s
    if limit is not None and first.seconds > limit * _PREFERRED_SHARE:
        level: Level = "problem" if first.seconds > limit else "warning"
        remedy = "The first start after an update is slow; run doctor again."
        commands: tuple[str, ...] = ()
        if _is_uvx(host):
            remedy, commands = "An installed tool starts faster than uvx:", ("uv tool install moa-mcp", host.installing)
        message += f"; {host.entry.client.title} waits {limit:g} s"
        return Diagnosis(level, "start", message, remedy=remedy, commands=commands)
    return Diagnosis("ok", "start", message)


def _identity(host: HostEntry, start: Start) -> Iterator[Diagnosis]:
    own, where = version(_NAME), str(host.file or "")
    if start.server and start.server != _NAME:
        message = f"the entry starts the server {line(start.server)!r}, not {_NAME}"
        yield Diagnosis("warning", "entry", message, where, remedy=host.by_hand, commands=(host.installing,))
    elif start.version and start.version != own:
        message = f"the entry starts {_NAME} {line(start.version)}; the one that you run is {own}"
        renewed = ("uv cache clean moa-mcp",) if _is_uvx(host) else (host.installing,)
        yield Diagnosis("warning", "versions", message, where, commands=renewed)


def _ready(host: HostEntry, start: Start) -> Diagnosis:
    """Return what a server that runs in another place reports about its pipelines, in the end of its instructions."""
    summary = line(start.instructions.rpartition("\n")[2])
    message = f"{summary} (Reported by the server: it runs in {host.elsewhere}, where doctor can't look.)"
    if summary == ALL_READY:
        return Diagnosis("ok", "pipelines", message)
    level: Level = "problem" if summary.startswith("No pipeline") else "warning"
    remedy = f"Pass the keys to {host.elsewhere} in the arguments of the entry."
    return Diagnosis(level, "pipelines", message, str(host.file or ""), remedy=remedy)


def _is_uvx(host: HostEntry) -> bool:
    return Path(host.entry.command[0]).stem in {"uv", "uvx"}


def _failed(host: HostEntry, start: Start, *, newest: bool) -> Diagnosis:
    protocol = " (with the newest protocol; older clients can use it)" if newest else ""
    reason = line(start.reason)
    match start.outcome:
        case "not started":
            message = f"can't be started: {reason}"
        case "ended":
            message = f"the command ended before it answered{protocol}"
        case "refused":
            message = f"answered with an error{protocol}: {reason}"
        case _:
            message = f"no list of tools within {start.seconds:g} s{protocol}"
    commands = (host.installing,) if start.outcome != "no answer" else ()
    remedy = host.by_hand or (
        "Fix what it reports, or write the entry again:" if start.stderr else "Write the entry again:"
    )
    if not commands:
        remedy = "It may wait for something, such as a download. Start it in a terminal to see, or allow more time:"
        commands = (shown("doctor", *filter(None, [host.entry.client.name]), "--timeout", "120"),)
    return Diagnosis("problem", "start", message, str(host.file or ""), start.stderr, remedy, commands)


def _noise(start: Start) -> Diagnosis:
    count = counted(start.noises, "line")
    message = f"the command printed {count} to stdout that are not messages of the protocol; clients may end it"
    message = message.replace("that are", "that is") if start.noises == 1 else message
    remedy = "Send this output to stderr. It is from a wrapper script, or a library that the command loads."
    return Diagnosis("problem", "stdout", message, "", tuple(start.noise), remedy)
