"""The provider for every route that speaks the OpenAI wire: one request and one reply over a pooled connection.

It knows aiohttp and orjson, which it imports late, and nothing of litellm. It bounds neither time nor concurrency and
tries nothing again: the layers around it do.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
import anyio.to_thread

from moa_mcp.errors import CallError, RequestRefused
from moa_mcp.hosts import host
from moa_mcp.providers import families, payloads, prompted, refusals, replies
from moa_mcp.values import Call, Completion, Target

if TYPE_CHECKING:
    import aiohttp
    from multidict import CIMultiDict
    from yarl import URL

_CONNECT_S = 20.0
_KEPT_S = 55.0
"""Seconds that an idle connection is kept, from one layer to the next: providers close theirs after a minute."""
_NAMES_S = 300
_LAST_BYTES_S = 0.1
_BUFFER = 2**18
Body: TypeAlias = dict[str, Any]


class _Endpoint(NamedTuple):
    """What all requests to a target have in common."""

    url: URL
    headers: CIMultiDict[str]
    proxy: str | None
    model: str
    stream_usage: bool
    extra: Mapping[str, Any]


class OpenAIWire:
    """Answers calls with `POST {base}/chat/completions`. Runs on asyncio alone, as aiohttp does."""

    def __init__(self) -> None:
        self._imported = False
        self._session: aiohttp.ClientSession | None = None
        self._endpoints: dict[Target, _Endpoint] = {}

    async def ready(self) -> None:
        """Return when all is imported that a call needs."""
        if not self._imported:
            await anyio.to_thread.run_sync(_import)
            self._imported = True

    async def close(self) -> None:
        """Close every connection; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __call__(self, call: Call) -> Completion:
        import aiohttp  # noqa: PLC0415  late, as the module says

        target = call.target
        if target is None:
            raise RequestRefused(f"no route was chosen for {call.agent}")
        families.check(target, call.parameters)
        endpoint = self._endpoints.get(target) or self._endpoint(target)
        body = _body(call, endpoint, families.renamed(target, call.parameters))
        session = self._session or self._opened()
        try:
            async with session.post(
                endpoint.url, data=body, headers=endpoint.headers, proxy=endpoint.proxy, allow_redirects=False
            ) as response:
                if response.status != 200:  # noqa: PLR2004
                    raise await _refused(target, response)
                if call.on_text is not None and response.content_type == "text/event-stream":
                    return await _streamed(call, target, response)
                return _whole(call, target, await response.read())
        except aiohttp.ClientConnectorError as error:
            raise refusals.unreached(target, connected=False) from error
        except (aiohttp.ClientError, OSError) as error:
            unmade = isinstance(error, aiohttp.InvalidURL | aiohttp.ConnectionTimeoutError)
            raise refusals.unreached(target, connected=not unmade) from error

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415

        # The slots layers bound what is under way, and the timeout layer how long it takes.
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=_NAMES_S, keepalive_timeout=_KEPT_S, ssl=_tls_context())
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_BUFFER,
        )
        return self._session

    def _endpoint(self, target: Target) -> _Endpoint:
        from multidict import CIMultiDict  # noqa: PLC0415
        from yarl import URL  # noqa: PLC0415

        if target.api_base is None:
            raise RequestRefused(f"{target.model}: nobody says at which address it is served; give it an api_base")
        headers = CIMultiDict({"Content-Type": "application/json", "User-Agent": f"moa-mcp/{version('moa-mcp')}"})
        if target.api_key is not None:
            headers["Authorization"] = f"Bearer {target.api_key}"
        prefix = target.model.partition("/")[0]
        known = host(prefix)
        endpoint = self._endpoints[target] = _Endpoint(
            URL(f"{target.api_base}/chat/completions"),
            headers,
            _proxy(target.api_base),
            target.wire_model or target.model,
            known is None or known.stream_usage,
            {"usage": {"include": True}} if prefix == "openrouter" else {},
        )
        return endpoint


def _import() -> None:
    for name in ("aiohttp", "certifi", "orjson"):
        import_module(name)


def _tls_context() -> ssl.SSLContext:
    """Return what trusts the system's certificates, or where it has none, the usual ones."""
    import certifi  # noqa: PLC0415

    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    return context


def _proxy(base: str) -> str | None:
    address = urlsplit(base)
    return None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)


def _body(call: Call, endpoint: _Endpoint, parameters: Mapping[str, float | int]) -> bytes:
    import orjson  # noqa: PLC0415

    body: Body = {
        "model": endpoint.model,
        "messages": prompted.messages(call),
        **parameters,
        **endpoint.extra,
    }
    if call.samples > 1:
        body["n"] = call.samples
    if call.on_text is not None:
        body["stream"] = True
        if endpoint.stream_usage:
            body["stream_options"] = {"include_usage": True}
    return orjson.dumps(body)


def _read(target: Target, raw: bytes) -> Body:
    import orjson  # noqa: PLC0415

    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise replies.garbled(target) from error
    if not isinstance(parsed, dict):
        raise replies.unanswered(target)
    return parsed  # pyright: ignore[reportUnknownVariableType]


async def _refused(target: Target, response: aiohttp.ClientResponse) -> CallError:
    raw = await response.read()
    moved = response.headers.get("location")
    if moved is not None and response.status < 400:  # noqa: PLR2004
        return RequestRefused(f"{target.model}: {target.api_base} has moved to {refusals.said(moved, target.api_key)}")
    try:
        fault = payloads.fault(_read(target, raw))
    except CallError:
        fault = payloads.Fault(raw.decode("utf-8", "replace"))
    retry_after = response.headers.get("retry-after")
    return refusals.refused(target, response.status, fault.told, code=fault.code, retry_after=retry_after)


def _whole(call: Call, target: Target, raw: bytes) -> Completion:
    body = _read(target, raw)
    if not body.get("choices"):
        raise _unanswered(target, body)
    completion = replies.completed(
        target, payloads.choices(body), payloads.usage(body), payloads.cost_usd(target, body)
    )
    if call.on_text is not None:  # a server that does not stream
        call.on_text(completion.text)
    return completion


def _unanswered(target: Target, body: Body) -> CallError:
    """Return the error for a reply without choices: some providers put a refusal into a reply of status 200."""
    if not body.get("error"):
        return replies.unanswered(target)
    fault = payloads.fault(body)
    return refusals.refused(target, fault.status, fault.told, code=fault.code)


async def _streamed(call: Call, target: Target, response: aiohttp.ClientResponse) -> Completion:
    stream = payloads.Stream()
    async with _events(response) as events:
        async for event in events:
            if event == b"[DONE]":
                stream.ended = True
                break
            chunk = _read(target, event)
            if chunk.get("error") and not chunk.get("choices"):
                raise _unanswered(target, chunk)
            piece = stream.take(chunk)
            if piece and call.on_text is not None:
                call.on_text(piece)
    with anyio.move_on_after(_LAST_BYTES_S):  # read to its end, the connection can be used again
        await response.read()
    if not stream.ended:
        raise refusals.unreached(target, connected=True)
    return replies.completed(
        target, stream.choices(), payloads.usage(stream.billed), payloads.cost_usd(target, stream.billed)
    )


@asynccontextmanager
async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[AsyncGenerator[bytes]]:
    events = _data(response)
    try:
        yield events
    finally:
        await events.aclose()


async def _data(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield the data of every server-sent event: providers write each on one line."""
    rest = b""
    async for piece in response.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
    if rest.startswith(b"data:"):
        yield rest[5:].strip()
