"""What a server on HTTP makes of clients that do not finish what they begin, and of bodies that say nothing."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from moa_mcp.callers import Permissions
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE, OFFLINE, ServerProcess
from tests.support.team import Team

pytest_plugins = ("tests.support.connections",)

HEAD = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = HEAD + b"Content-Length: 1000\r\n\r\n{"
HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
FEW = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"
HURRIED = "from moa_mcp.server import connections as c; c.HEAD_S = c.BODY_S = 0.2"
PREFIX = "io.modelcontextprotocol/"
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPTED = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def connected(server: ServerProcess, sent: bytes = b"") -> socket.socket:
    address = httpx2.URL(server.url)
    connection = socket.create_connection((address.host, address.port or 0), timeout=10)
    connection.sendall(sent)
    return connection


def reset(connection: socket.socket) -> None:
    """Go away as a client does that crashes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def healthy(server: ServerProcess) -> bool:
    return httpx2.get(httpx2.URL(server.url).join("/health"), timeout=10).status_code == 200


@pytest.fixture(scope="module", params=["--http", "--sse"])
def few(request: pytest.FixtureRequest, nursery: Nursery) -> Iterator[ServerProcess]:
    start = (request.param, "--port", "0", "--token-env", "TEAM", *OFFLINE)
    with ServerProcess(*start, nursery=nursery, prelude=FEW, TEAM="t0ken") as server:
        yield server
        assert len(server.stderr) == 1  # where it listens


@pytest.mark.parametrize("begun", [b"", b"P", HEAD, HEAD + b"X: ", BODY, HEALTH])
def test_clients_that_finish_nothing_do_not_keep_others_out(few: ServerProcess, begun: bytes) -> None:
    with ExitStack() as clients:
        for _ in range(300):
            clients.enter_context(connected(few, begun))
            assert len(few.stderr) == 1
        assert healthy(few)
        reset(connected(few, begun))
    assert healthy(few)


def test_a_server_that_answers_as_many_requests_as_it_may_tells_others_to_try_again(
    nursery: Nursery, tmp_path: Path
) -> None:
    team, audit = Team(tmp_path, {"alice": Permissions()}), tmp_path / "audit.jsonl"
    slow = AT_ONCE.replace("0.0", "60.0")
    options = ("--max-requests", "2", "--audit", str(audit))
    with team.served(nursery, *options, prelude=slow) as (server, url), ThreadPoolExecutor() as threads:
        call: dict[str, Any] = {"name": "vote", "arguments": {"question": "Why?", "wait_s": 60}}
        waiting = [threads.submit(team.send, url, "alice", "tools/call", **call) for _ in range(2)]
        team.wait_until(lambda: audit.read_text("utf-8").count('"start"') == 2)
        refused = team.send(url, "alice", "tools/list")
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        assert json.loads(refused.text) == {
            "error": "busy",
            "error_description": "this server answers 2 requests already; try again in a few seconds",
        }
        assert httpx2.get(url, timeout=10).status_code == 401  # who may not be answered learns that first
        assert healthy(server)
        assert (
            server.stderr[-1]
            == "moa-mcp: WARNING: requests are refused: 2 are being answered, as --max-requests allows\n"
        )
        server.process.terminate()
        assert [each.result().status for each in waiting] == [200, 200]


@pytest.mark.parametrize("begun", [b"", b"P", HEAD, BODY, HEALTH + HEAD, HEALTH + BODY])
def test_a_request_that_does_not_arrive_in_time_is_not_waited_for(nursery: Nursery, begun: bytes) -> None:
    with (
        ServerProcess("--http", "--port", "0", *OFFLINE, nursery=nursery, prelude=HURRIED) as server,
        connected(server, begun) as client,
    ):
        received = b""
        with suppress(ConnectionResetError):
            while more := client.recv(4096):
                received += more
        assert received.count(b"HTTP/1.1 200") == begun.count(HEALTH)


@pytest.mark.parametrize("header", ["Bearer t0ken", "bearer t0ken", "BEARER t0ken", " bEaReR   t0ken \t"])
def test_the_scheme_of_a_token_may_be_written_in_either_case(few: ServerProcess, header: str) -> None:
    with connected(
        few, f"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {header}\r\n\r\n".encode()
    ) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer t0ke", "Bearer t0ken2", "Bearert0ken", "Basic t0ken", "t0ken"]
)
def test_whoever_has_no_token_holds_no_connection(few: ServerProcess, header: str) -> None:
    with connected(few, HEAD + f"Authorization: {header}\r\nContent-Length: 9\r\n\r\n".encode()) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 401")
        body = client.recv(4096)
        assert body == b"" or body.startswith(b'{"error":"unauthorized"')


def session(server: ServerProcess) -> dict[str, str]:
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}}
    begun = httpx2.post(
        server.url, json={**PING, "method": "initialize", "params": client}, headers=ACCEPTED, timeout=10
    )
    return {**ACCEPTED, "Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}


MODERN = {**ACCEPTED, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "ping"}


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"no JSON", -32700),
        (b'{"x": NaN}', -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": ' + b"[" * 100_000, -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "\xff"}}', -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0", "id": 2, "method": "ping"}]', -32600),
        (b"5", -32600),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', -32602),
    ],
)
def test_a_body_that_is_no_message_is_answered_with_its_fault(
    http: ServerProcess, era: str, body: bytes, code: int
) -> None:
    headers = MODERN if era == "modern" else session(http)
    answer = httpx2.post(http.url, content=body, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_body_that_is_too_long_is_refused(http: ServerProcess, sse: ServerProcess) -> None:
    for server in (http, sse):
        refused = httpx2.post(server.url, content=b" " * (4 * 2**20 + 1), headers=ACCEPTED, timeout=10)
        assert refused.status_code == 413


@pytest.mark.parametrize("body", [b"no JSON", b"5", b'{"jsonrpc": "2.0", "id": [1], "method": "ping"}'])
def test_a_message_to_sse_that_is_none_is_refused_without_a_traceback(sse: ServerProcess, body: bytes) -> None:
    messages = httpx2.URL(sse.url).join("/messages/?session_id=" + "0" * 32)
    assert httpx2.post(messages, content=body, headers=ACCEPTED, timeout=10).status_code == 400


@pytest.mark.parametrize(
    ("written", "asked"), [(rb"caf\ud800", "caf\ufffd"), (rb"\ud83d\ude00", "😀"), (b"\xed\xa0\xbd\xed\xb8\x80", "😀")]
)
def test_a_question_over_http_with_halves_of_characters_is_asked_with_them_mended(
    http: ServerProcess, written: bytes, asked: str
) -> None:
    headers = session(http)

    def called(name: str, arguments: bytes) -> Any:
        params = b'{"name": "%s", "arguments": %s}' % (name.encode(), arguments)
        body = b'{"jsonrpc": "2.0", "id": 7.0, "method": "tools/call", "params": %s}' % params
        answer = httpx2.post(http.url, content=body, headers=headers, timeout=10)
        (data,) = [line for line in answer.text.splitlines() if line.startswith("data: {")]
        return json.loads(data.removeprefix("data: "))["result"]["structuredContent"]

    run_id = called("vote", b'{"question": "%s", "seed": 1}' % written)["run_id"]
    trace = called("moa_trace", json.dumps({"run_id": run_id}).encode())
    assert trace["question"]["text"] == asked


def posted(headers: dict[str, str], body: bytes) -> bytes:
    named = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return HEAD + f"{named}Content-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_client_that_goes_away_is_no_fault(nursery: Nursery) -> None:
    meta: dict[str, Any] = {PREFIX + "protocolVersion": "2026-07-28", PREFIX + "clientCapabilities": {}}
    params = {"name": "vote", "arguments": {"question": "?", "wait_s": 9}, "_meta": meta}
    call = json.dumps({**PING, "method": "tools/call", "params": params}).encode()
    with ServerProcess("--http", "--port", "0", *OFFLINE, nursery=nursery) as server:
        modern = posted({**MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "vote"}, call)
        legacy = posted(session(server), call)
        for sent in (
            modern,
            modern[:-5],
            modern[:-5] + b"\xff",
            legacy,
            legacy[:-5],
            b"\x16\x03\x01\r\n\r\n",
            b"x" * 20_000,
        ):
            reset(connected(server, sent))
        assert healthy(server)
        assert len(server.stderr) == 1
