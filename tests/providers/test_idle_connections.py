"""Servers that close idle connections: a request that is lost on one is sent again, and no other is."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import anyio
import pytest

from moa_mcp.errors import ConnectionFailed
from moa_mcp.providers.openai.client import OpenAICompatible
from moa_mcp.values import Call, Message, Place, Target

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


Close = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What the server does instead of answering, before it closes the connection."""


async def nothing(writer: asyncio.StreamWriter) -> None:
    del writer


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def half(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
    await writer.drain()


async def late(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(1.1)  # as if it had begun to answer
    del writer


class Server:
    """Answers the first requests of each connection, and closes it instead of answering the next one."""

    def __init__(self) -> None:
        self.close: Close = nothing
        self.answers_of = [1]
        """How many requests each connection gets answered; the last one repeats."""
        self.idle_s: float | None = None
        """Seconds after which a connection without a request is closed."""
        self.connections = 0
        self.ledger: Counter[str] = Counter()
        """By question: how often it was answered."""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = self.answers_of[min(self.connections, len(self.answers_of) - 1)]
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, TimeoutError):
            head = await reader.readuntil(b"\r\n\r\n")
            while True:
                lines = head.decode().lower().splitlines()
                length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length"))
                question = json.loads(await reader.readexactly(length))["messages"][0]["content"]
                if answers == 0:
                    await self.close(writer)
                    break
                answers -= 1
                self.ledger[question] += 1
                message = {"role": "assistant", "content": f"About {question}"}
                body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
                async with asyncio.timeout(self.idle_s):
                    head = await reader.readuntil(b"\r\n\r\n")
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    yield server
    listening.close()


@pytest.fixture
async def wire() -> AsyncIterator[OpenAICompatible]:
    wire = OpenAICompatible()
    yield wire
    await wire.close()


async def ask(wire: OpenAICompatible, server: Server, question: str) -> str:
    target = Target("openai/m", "openai", server.url, None, wire_model="m")
    call = Call("run", Place(1, 1), "m", (Message("user", question),), {}, 1, target=target)
    return (await wire(call)).text


@pytest.mark.parametrize("close", [nothing, reset])
async def test_a_request_on_a_connection_that_the_server_closes_is_sent_again(
    wire: OpenAICompatible, server: Server, close: Close
) -> None:
    server.close = close
    answers = [await ask(wire, server, question) for question in "abc"]
    assert answers == ["About a", "About b", "About c"]
    assert server.ledger == Counter("abc")
    assert server.connections == 3


async def test_it_is_sent_again_until_a_connection_is_new(wire: OpenAICompatible, server: Server) -> None:
    async def first(question: str) -> str:
        return await ask(wire, server, question)

    await anyio.amap(first, "abcd")
    assert server.connections == 4
    assert await ask(wire, server, "e") == "About e"
    assert server.ledger == Counter("abcde")
    assert server.connections == 5


@pytest.mark.parametrize("close", [half, late])
async def test_a_request_that_may_have_been_read_is_not_sent_again(
    wire: OpenAICompatible, server: Server, close: Close
) -> None:
    server.close = close
    await ask(wire, server, "a")
    with pytest.raises(ConnectionFailed) as failed:
        await ask(wire, server, "b")
    assert failed.value.paid is None
    assert (server.ledger, server.connections) == (Counter("a"), 1)


async def test_a_request_that_is_lost_since_all_connections_were_closed_is_not_sent_again(
    wire: OpenAICompatible, server: Server
) -> None:
    async def all_of_them(writer: asyncio.StreamWriter) -> None:
        del writer
        await wire.close()

    server.close = all_of_them
    await ask(wire, server, "a")
    with pytest.raises(ConnectionFailed):
        await ask(wire, server, "b")
    assert (server.ledger, server.connections) == (Counter("a"), 1)


async def test_a_request_on_a_new_connection_is_not_sent_again(wire: OpenAICompatible, server: Server) -> None:
    server.answers_of = [0, 1]
    with pytest.raises(ConnectionFailed):
        await ask(wire, server, "a")
    assert (server.ledger, server.connections) == (Counter(), 1)


async def test_no_request_is_lost_at_a_server_that_closes_connections_after_a_moment(
    wire: OpenAICompatible, server: Server
) -> None:
    server.idle_s, server.answers_of = 0.01, [10**6]

    async def some(name: int) -> None:
        for number in range(20):
            await ask(wire, server, f"{name} {number}")
            await asyncio.sleep(0.0099)  # the next request and the end of the connection cross

    await anyio.amap(some, range(10))
    assert server.ledger == Counter(f"{name} {number}" for name in range(10) for number in range(20))
