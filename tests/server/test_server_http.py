"""Who may reach a server on HTTP, and what the others are told."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from moa_mcp.config import load, shipped
from moa_mcp.server import transports
from moa_mcp.server.access import CannotServe
from moa_mcp.server.listeners import listening
from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess

pytestmark = pytest.mark.anyio
pytest_plugins = ("tests.support.connections",)

TOKEN = "the team's token"
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
Serve = Callable[..., None]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def guarded(nursery: Nursery) -> Iterator[str]:
    start = ("--http", "--port", "0", "--token-env", "TEAM", *OFFLINE)
    with ServerProcess(*start, nursery=nursery, TEAM=TOKEN) as server:
        yield server.url


def post(url: str, **headers: str) -> httpx2.Response:
    accepted = {"Accept": "application/json, text/event-stream"}
    return httpx2.post(url, json=PING, headers={**accepted, **headers}, timeout=10)


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer another"}, {"Authorization": TOKEN}])
def test_a_request_without_the_token_is_refused(guarded: str, given: dict[str, str]) -> None:
    refusal = post(guarded, **given)
    assert (refusal.status_code, refusal.headers["www-authenticate"]) == (401, "Bearer")


def test_the_health_of_a_guarded_server_is_no_secret(guarded: str) -> None:
    assert httpx2.get(httpx2.URL(guarded).join("/health"), timeout=10).json() == {"status": "ok"}


async def test_a_client_with_the_token_is_served(guarded: str) -> None:
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    async with http, Client(streamable_http_client(guarded, http_client=http), read_timeout_seconds=10) as client:
        assert "vote" in [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("transport", ["http", "sse"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403)],
)
def test_a_web_page_can_not_reach_a_server_on_this_machine(
    request: pytest.FixtureRequest, transport: str, headers: dict[str, str], status: int
) -> None:
    server: ServerProcess = request.getfixturevalue(transport)
    assert httpx2.get(server.url, headers=headers, timeout=10).status_code == status


@pytest.mark.parametrize("serve", [transports.serve_http, transports.serve_sse])
def test_a_server_that_others_can_reach_needs_a_token(serve: Serve) -> None:
    with pytest.raises(CannotServe, match="makes the server reachable from other machines and requires a token"):
        serve(load(shipped()), host="0.0.0.0", port=0, offline=True)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotServe, match=f"can't listen on 127.0.0.1 port {port}: "):
            transports.serve_http(load(shipped()), host="127.0.0.1", port=port, offline=True)


def test_answers_do_not_wait_for_an_acknowledgement_of_their_first_packet() -> None:
    with listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()) as client:
        listener.settimeout(10)
        connection, _ = listener.accept()
        with connection:
            assert client.getpeername() == listener.getsockname()
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
