"""Proxies: which one is used is one decision for calls and probes, and what fails on the way names it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from moa_mcp import errors
from moa_mcp.middleware import Model
from moa_mcp.routing.local import models_at
from moa_mcp.routing.proxies import proxy_for
from moa_mcp.routing.routes import Route, Routes
from moa_mcp.values import Call, Message, Place, Target
from tests.support.model_server import ModelServer, Status
from tests.support.over import TRANSPORTS, over

pytestmark = pytest.mark.anyio

PROXY = "http://gate:3128"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=TRANSPORTS)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Model]:
    async with over(request.param) as provider:
        yield provider


@pytest.fixture
def models(serving: ModelServer) -> Iterator[ModelServer]:
    serving.clear()
    serving.script("m")
    yield serving
    serving.script("m")


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("http://h/v1", {}, None),
        ("http://h/v1", {"http_proxy": PROXY}, PROXY),
        ("http://h/v1", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://h/v1", {"HTTP_PROXY": "http://other:1", "http_proxy": PROXY}, PROXY),
        ("http://h/v1", {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, None),
        ("http://h/v1", {"https_proxy": PROXY}, None),
        ("https://h/v1", {"https_proxy": PROXY}, PROXY),
        ("https://h/v1", {"ALL_PROXY": PROXY}, PROXY),
        ("http://h/v1", {"all_proxy": PROXY, "http_proxy": "http://other:1"}, "http://other:1"),
        ("http://h/v1", {"http_proxy": "gate:3128"}, PROXY),
        ("http://127.0.0.1:8000/v1", {"http_proxy": PROXY}, PROXY),
        ("http://127.0.0.1:8000/v1", {"http_proxy": PROXY, "no_proxy": "127.0.0.1"}, None),
        ("http://127.0.0.1:8000/v1", {"http_proxy": PROXY, "NO_PROXY": "localhost,127.0.0.0/8"}, None),
        ("http://10.1.2.3/v1", {"http_proxy": PROXY, "no_proxy": "10.0.0.0/8"}, None),
        ("http://11.1.2.3/v1", {"http_proxy": PROXY, "no_proxy": "10.0.0.0/8"}, PROXY),
        ("http://[::1]:8000/v1", {"http_proxy": PROXY, "no_proxy": "::1"}, None),
        ("http://[fd00::2]/v1", {"http_proxy": PROXY, "no_proxy": "fd00::/8"}, None),
        ("http://[::1]:8000/v1", {"http_proxy": PROXY, "no_proxy": "[::1]:9000"}, PROXY),
        ("http://a.corp.example/v1", {"http_proxy": PROXY, "no_proxy": ".corp.example"}, None),
        ("http://a.corp.example/v1", {"http_proxy": PROXY, "no_proxy": "corp.example"}, None),
        ("http://a.corp.example/v1", {"http_proxy": PROXY, "no_proxy": "*.corp.example"}, None),
        ("http://A.CORP.example./v1", {"http_proxy": PROXY, "no_proxy": "Corp.Example"}, None),
        ("http://acorp.example/v1", {"http_proxy": PROXY, "no_proxy": "corp.example"}, PROXY),
        ("http://h:8000/v1", {"http_proxy": PROXY, "no_proxy": "h:8000"}, None),
        ("http://h:8001/v1", {"http_proxy": PROXY, "no_proxy": "h:8000"}, PROXY),
        ("https://h/v1", {"https_proxy": PROXY, "no_proxy": "h:443"}, None),
        ("http://h/v1", {"http_proxy": PROXY, "no_proxy": "other, *"}, None),
        ("http://h/v1", {"http_proxy": PROXY, "no_proxy": ""}, PROXY),
        ("http://h/v1", {"http_proxy": PROXY, "no_proxy": "x y  h"}, None),
    ],
)
def test_the_usual_variables_say_which_proxy_is_used(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, environ) == proxy


def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def call_to(base: str) -> Call:
    target = Target("openai/m", "openai", base, "none", wire_model="m")
    return Call("run", Place(1, 1), "m", (Message("user", "Why?"),), {"max_tokens": 64}, 1, target=target)


async def failure(provider: Model, call: Call) -> errors.CallError:
    with pytest.raises(errors.CallError) as raised:
        await provider(call)
    return raised.value


async def test_a_dead_proxy_is_named_without_its_password(
    provider: Model, models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = closed()
    monkeypatch.setenv("http_proxy", f"http://user:hush-hush@{dead}")
    told = await failure(provider, call_to(models.url))
    assert isinstance(told, errors.ConnectionFailed)
    assert (told.paid, models.requests) == (False, ())
    assert str(told) == (
        f"openai/m: can't connect to the proxy http://{dead} for {models.url}; "
        "correct http_proxy, https_proxy or all_proxy, or bypass the proxy with no_proxy=127.0.0.1"
    )


async def test_a_probe_goes_the_way_that_a_call_goes(models: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = closed()
    monkeypatch.setenv("HTTP_PROXY", f"http://user:hush-hush@{dead}")
    assert await models_at(models.url) is None
    states = await Routes({"m": (Route(model="ollama/m"),)}, {"OLLAMA_API_BASE": models.url}).states("m")
    assert states[0].missing.startswith(f"Ollama at {models.url} (requested through the proxy http://{dead}; ")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    assert isinstance(await models_at(models.url), tuple)


class Proxy:
    """Forwards plain HTTP, and keeps what it was asked for; with a status, refuses instead."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[str] = []
        self.url = ""
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, url, _ = head.split("\r\n", 1)[0].split(" ")
        self.asked.append(f"{method} {url}")
        if self._status != 200:
            writer.write(f"HTTP/1.1 {self._status} No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhalt".encode())
        else:
            _, _, rest = url.partition("://")
            server, _, path = rest.partition("/")
            host, _, port = server.partition(":")
            length = next(
                (int(line.split(": ")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")),
                0,
            )
            body = await reader.readexactly(length)
            inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
            fields = [
                line
                for line in head.split("\r\n")[1:]
                if line and not line.lower().startswith(("connection", "proxy-"))
            ]
            inner_writer.write(
                "\r\n".join([f"{method} /{path} HTTP/1.1", *fields, "Connection: close", "", ""]).encode() + body
            )
            writer.write(await inner_reader.read())
            inner_writer.close()
        await writer.drain()
        writer.close()


async def proxy(status: int = 200) -> tuple[Proxy, asyncio.Server]:
    it = Proxy(status)
    listening = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    return it, listening


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
async def test_calls_and_probes_go_through_the_proxy_and_failures_behind_it_name_it(
    provider: Model, models: ModelServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    gate, listening = await proxy()
    monkeypatch.setenv(variable, gate.url)
    assert isinstance(await models_at(models.url), tuple)
    assert (await provider(call_to(models.url))).text == "answer 1 from m"
    models.script("m", Status(401, "no"))
    told = await failure(provider, call_to(models.url))
    asked = f"{models.url}/chat/completions"
    assert str(told) == f"openai/m: no (at {asked} through the proxy {gate.url})"
    assert gate.asked == [f"GET {models.url}/models", f"POST {asked}", f"POST {asked}"]
    listening.close()


async def test_a_proxy_that_wants_a_password_is_named(
    provider: Model, models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, listening = await proxy(407)
    monkeypatch.setenv("http_proxy", gate.url)
    told = await failure(provider, call_to(models.url))
    assert isinstance(told, errors.AuthFailed)
    assert str(told) == f"openai/m: the proxy {gate.url} refuses the connection: halt (407)"
    listening.close()


@pytest.mark.parametrize("status", [407, 403, 502])
async def test_a_proxy_that_opens_no_tunnel_is_named(
    provider: Model, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    gate, listening = await proxy(status)
    monkeypatch.setenv("https_proxy", gate.url)
    told = await failure(provider, call_to("https://models.example/v1"))
    assert isinstance(told, errors.ConnectionFailed if status == 502 else errors.AuthFailed)
    assert str(told).startswith(f"openai/m: the proxy {gate.url} refuses the connection")
    assert gate.asked == ["CONNECT models.example:443"]
    listening.close()


async def test_a_proxy_that_is_no_http_proxy_is_told_with_what_to_do(
    provider: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "socks5h://user:hush-hush@127.0.0.1:1080")
    told = await failure(provider, call_to("http://models.example/v1"))
    assert str(told).startswith("openai/m: the proxy socks5h://127.0.0.1:1080 is not an HTTP proxy; correct http_proxy")
    assert not await models_at("http://models.example/v1")
