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
from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess, parameters

Peer = Callable[[], Any]
"""Makes what a `Client` can connect to."""


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name a file that all servers of the session keep their runs in, as those of one user do."""
    return str(tmp_path_factory.mktemp("journal") / "journal.sqlite")


@pytest.fixture(scope="session")
def listening(nursery: Nursery, journal: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    with (
        ServerProcess("--http", "--port", "0", "--journal", journal, *OFFLINE, nursery=nursery) as http,
        ServerProcess("--sse", "--port", "0", "--journal", journal, *OFFLINE, nursery=nursery) as sse,
    ):
        yield http, sse


@pytest.fixture(scope="session")
def http(listening: tuple[ServerProcess, ServerProcess]) -> ServerProcess:
    return listening[0]


@pytest.fixture(scope="session")
def sse(listening: tuple[ServerProcess, ServerProcess]) -> ServerProcess:
    return listening[1]


@pytest.fixture(scope="module", params=["memory", "stdio", "http", "sse"])
def peer(request: pytest.FixtureRequest, journal: str, nursery: Nursery) -> Peer:
    match request.param:
        case "memory":
            return lambda: App(load(shipped()), offline=True).server
        case "stdio":
            return lambda: parameters("--journal", journal, *OFFLINE, nursery=nursery)
        case "http":
            http: ServerProcess = request.getfixturevalue("http")
            return lambda: http.url
        case _:
            sse: ServerProcess = request.getfixturevalue("sse")
            return lambda: sse_client(sse.url)


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def client(request: pytest.FixtureRequest, peer: Peer) -> AsyncIterator[Client]:
    async with Client(peer(), mode=request.param, read_timeout_seconds=10, cache=None) as client:
        yield client
