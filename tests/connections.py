"""A client connected to the server over every transport, in both protocol eras; the models are simulated.

A pytest plugin: test modules that name it in `pytest_plugins` have its fixtures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from mcp import Client
from mcp.client.sse import sse_client

from moa_mcp.config import load, shipped
from moa_mcp.server.app import App
from tests.serving import OFFLINE, ServerProcess, parameters

Peer = Callable[[], Any]
"""Makes what a `Client` can connect to."""


@pytest.fixture(scope="session")
def http() -> Iterator[ServerProcess]:
    with ServerProcess("--http", "--port", "0", *OFFLINE) as server:
        yield server
        server.assert_no_fault()


@pytest.fixture(scope="session")
def sse() -> Iterator[ServerProcess]:
    with ServerProcess("--sse", "--port", "0", *OFFLINE) as server:
        yield server
        server.assert_no_fault()


@pytest.fixture(scope="module", params=["memory", "stdio", "http", "sse"])
def peer(request: pytest.FixtureRequest) -> Peer:
    match request.param:
        case "memory":
            return lambda: App(load(shipped()), offline=True).server
        case "stdio":
            return lambda: parameters(*OFFLINE)
        case listening:
            server: ServerProcess = request.getfixturevalue(listening)
            return lambda: server.url if listening == "http" else sse_client(server.url)


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def client(request: pytest.FixtureRequest, peer: Peer) -> AsyncIterator[Client]:
    async with Client(peer(), mode=request.param, read_timeout_seconds=10, cache=None) as client:
        yield client
