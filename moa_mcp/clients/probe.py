"""Starts a server as an MCP client does, lists its tools, and ends it. No tool is called.

The only module of this package that imports mcp. Import it when it is needed: that takes half a second.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Literal, TypeAlias, cast

import anyio
import anyio.lowlevel
from mcp import Client, StdioServerParameters
from mcp.client.session import IncomingMessage
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED
from msgspec import Struct, field
from pydantic import ValidationError

Era: TypeAlias = Literal["legacy", "auto"]
"""How the protocol is chosen: by ``initialize``, as clients did until 2025, or the newest revision that both know."""
Outcome: TypeAlias = Literal["listed", "not started", "ended", "no answer", "refused"]

_KEPT_BYTES = 8192
_KEPT_LINES = 12
_KEPT_NOISE = 3
_END_S = 2.0
logging.getLogger("mcp").addHandler(logging.NullHandler())
logging.getLogger("mcp").propagate = False  # it logs every line that is no message, with a stack trace


class Start(Struct):
    """What a client saw of a server."""

    outcome: Outcome = "no answer"
    reason: str = ""
    """What the system or the server reported, if it did not list its tools."""
    seconds: float = 0.0
    """From the start of the process to the list of tools, or to the failure."""
    protocol: str = ""
    """The revision that both use."""
    server: str = ""
    """The name that the server reports."""
    version: str = ""
    """The version that the server reports."""
    instructions: str = ""
    tools: tuple[str, ...] = ()
    noise: list[str] = field(default_factory=list[str])
    """The first lines of stdout that are not messages of the protocol."""
    noises: int = 0
    """How many such lines there were."""
    stderr: tuple[str, ...] = ()
    """The last lines of stderr. They may have keys."""


async def started(
    command: Sequence[str], environ: Mapping[str, str], folder: str, *, era: Era, timeout_s: float
) -> Start:
    """Start a server, list its tools and end it with all its child processes.

    Args:
        command: The words of the command; the first is looked up in the PATH of `environ`.
        environ: The environment of the server.
        folder: Its working directory.
        era: How the protocol is chosen.
        timeout_s: Seconds until a server that does not answer is ended.

    """
    seen = Start()
    began = anyio.current_time()
    parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(environ), cwd=folder)
    with _stderr_of(seen) as errors:
        try:
            with anyio.fail_after(timeout_s):
                await _listed(seen, parameters, errors, era, began)
        except TimeoutError:
            seen.seconds = seen.seconds or timeout_s
        except Exception as error:  # noqa: BLE001  the SDK wraps errors of servers in groups, and has no class for all
            if seen.outcome != "listed":
                seen.outcome, seen.reason = _explained(error)
    seen.seconds = seen.seconds or anyio.current_time() - began
    return seen


async def _listed(
    seen: Start, parameters: StdioServerParameters, errors: TextIOWrapper, era: Era, began: float
) -> None:
    async def keep_noise(message: IncomingMessage) -> None:
        if isinstance(message, Exception):
            seen.noises += 1
            seen.noise += [_line_of(message)] if len(seen.noise) < _KEPT_NOISE else []
        await anyio.lowlevel.checkpoint()

    async with Client(stdio_client(parameters, errors), mode=era, message_handler=keep_noise, cache=None) as client:
        page = await client.list_tools()
        names = [tool.name for tool in page.tools]
        while page.next_cursor:
            page = await client.list_tools(cursor=page.next_cursor)
            names += [tool.name for tool in page.tools]
        seen.seconds = anyio.current_time() - began
        seen.tools, seen.protocol, seen.outcome = tuple(names), client.protocol_version, "listed"
        seen.instructions = client.instructions or ""
        if client.server_info is not None:
            seen.server, seen.version = client.server_info.name, client.server_info.version


def _line_of(error: Exception) -> str:
    """Return the line that is no message."""
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False, include_context=False)[0]["input"])
    return str(error)


def _explained(error: BaseException) -> tuple[Outcome, str]:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    match error:
        case OSError():
            return "not started", error.strerror or str(error)
        case MCPError() if error.code == CONNECTION_CLOSED:
            return "ended", ""
        case ValidationError():
            return "refused", "its answer is not a valid message of the protocol"
        case _:
            return "refused", str(error)


@contextmanager
def _stderr_of(seen: Start) -> Generator[TextIOWrapper]:
    """Give a stream to a process, of which the end is kept: a process may write any amount."""
    reading, writing = os.pipe()
    tail = _Tail()

    def keep() -> None:
        while piece := os.read(reading, 65536):
            tail.add(piece)

    reader = threading.Thread(target=keep, daemon=True)
    reader.start()
    try:
        with os.fdopen(writing, "w") as stream:
            yield stream
    finally:
        reader.join(_END_S)  # a process that outlives its parent may still have the other end
        if not reader.is_alive():
            os.close(reading)
        seen.stderr = tail.lines


class _Tail:
    """The last lines of a stream, without a line of which the beginning is lost: a part of a key can't be masked."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._is_cut = False

    @property
    def lines(self) -> tuple[str, ...]:
        lines = bytes(self._kept).decode("utf-8", "replace").splitlines()
        return tuple(line for line in lines if line.strip())[-_KEPT_LINES:]

    def add(self, piece: bytes) -> None:
        if self._is_cut:
            _, newline, piece = piece.partition(b"\n")
            self._is_cut = not newline
        self._kept += piece
        if len(self._kept) > _KEPT_BYTES:
            del self._kept[:-_KEPT_BYTES]
            start = self._kept.find(b"\n") + 1
            self._is_cut = not start
            del self._kept[: start or None]
