"""A server on loopback that answers every request with exactly the bytes it was given, in pieces where that is wanted.

It knows nothing of any provider's wire. It runs in the event loop of the test, so that a piece is read before the next
one is sent. The first part of a request's path names what is answered, whatever follows it.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

Framing: TypeAlias = Literal["length", "chunked", "close", "short"]
"""What tells the body's end: its length, the last chunk, or the connection's end; `short` ends it before its time."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """One HTTP reply."""

    pieces: Sequence[bytes]
    """The body, as it is handed to the network one after another."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    framing: Framing = "length"

    @property
    def head(self) -> bytes:
        """The status line and the headers."""
        length = sum(map(len, self.pieces))
        framed = {
            "length": {"Content-Length": str(length)},
            "chunked": {"Transfer-Encoding": "chunked"},
            "close": {"Connection": "close"},
            "short": {"Content-Length": str(length + 1)},
        }[self.framing]
        reason = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "Whatever"
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{k}: {v}" for k, v in {**self.headers, **framed}.items())]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


class ByteServer:
    """Answers the requests whose path begins with a name; the last reply of a name repeats."""

    def __init__(self) -> None:
        self.url = ""
        self._replies: dict[str, deque[Bytes]] = {}
        self._asked: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._open: set[asyncio.Task[None]] = set()

    def script(self, name: str, *replies: Bytes) -> str:
        """Set what is answered under a name, and return the address to ask."""
        self._replies[name] = deque(replies)
        self._asked[name].clear()
        return f"{self.url}/{name}"

    def asked(self, name: str) -> Sequence[dict[str, Any]]:
        """Return the JSON of every request that came under a name since it was scripted."""
        return self._asked[name]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while await self._answered(reader, writer):
                    pass
        finally:
            self._open.discard(task)
            writer.close()

    async def stop(self) -> None:
        """Drop the open connections."""
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        name = head.split(" ", 2)[1].lstrip("/").split("/")[0].split("?")[0]
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        self._asked[name].append(json.loads(body) if body else {})
        replies = self._replies[name]
        reply = replies.popleft() if len(replies) > 1 else replies[0]
        writer.write(reply.head)
        for piece in reply.pieces:
            await asyncio.sleep(0)
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if reply.framing == "chunked" else piece)
            await writer.drain()
        if reply.framing == "chunked":
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return reply.framing in {"length", "chunked"}


@asynccontextmanager
async def serving_bytes() -> AsyncIterator[ByteServer]:
    """Serve on a free port."""
    server = ByteServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=2**24)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await server.stop()
