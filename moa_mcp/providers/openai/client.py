"""The provider for OpenAI-compatible APIs: one request and one reply over a pooled connection.

It imports aiohttp and orjson lazily, and does not use litellm. Timeouts, concurrency limits and retries belong to the
middleware around it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import anyio
import anyio.to_thread

from moa_mcp.errors import AuthFailed, ParameterRefused, RequestRefused
from moa_mcp.providers.failures import refusals
from moa_mcp.providers.openai import families, request, responses
from moa_mcp.providers.openai.connections import Connections
from moa_mcp.routing import proxies
from moa_mcp.routing.hosts import host
from moa_mcp.values import Call, Completion, Parameters, Target

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
Body: TypeAlias = dict[str, Any]
_Address: TypeAlias = tuple[str, str | None, str | None, str | None]
"""What of a target decides its endpoint: its model, that of the server, the address and the key."""


class _Endpoint(NamedTuple):
    """What all requests to an address for a model share."""

    url: URL
    session: aiohttp.ClientSession
    proxy: str | None
    model: str
    stream_usage: bool
    extra: Mapping[str, Any]


class OpenAICompatible:
    """Answers calls with `POST {base}/chat/completions`. Runs on asyncio only, as aiohttp does."""

    def __init__(self) -> None:
        self._imported = False
        self._connections = Connections()
        self._endpoints: dict[_Address, _Endpoint] = {}

    async def ready(self) -> None:
        """Import all that a call needs."""
        if not self._imported:
            await anyio.to_thread.run_sync(_import)
            self._imported = True

    async def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        self._endpoints.clear()
        await self._connections.close()

    async def __call__(self, call: Call) -> Completion:
        target = call.target
        if target is None:
            raise RequestRefused(f"no route selected for {call.agent}")
        families.check(target, call.parameters)
        address = (target.model, target.wire_model, target.api_base, target.api_key)
        endpoint = self._endpoints.get(address) or self._opened(address, target)
        try:
            return await self._asked(call, target, endpoint)
        except ParameterRefused as error:
            if call.on_text is None or not endpoint.stream_usage or error.parameter != "stream_options":
                raise
        endpoint = self._endpoints[address] = endpoint._replace(stream_usage=False)
        return await self._asked(call, target, endpoint)

    async def _asked(self, call: Call, target: Target, endpoint: _Endpoint) -> Completion:
        import aiohttp  # noqa: PLC0415  lazy, see the module's docstring

        from moa_mcp.providers.openai.sending import Sending  # noqa: PLC0415

        body = _body(call, endpoint, request.parameters(call, families.renamed(target, call.parameters)))
        try:
            while True:
                sending = Sending(body)
                try:
                    response = await endpoint.session.post(
                        endpoint.url, data=sending, proxy=endpoint.proxy, allow_redirects=False
                    )
                    break
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    if endpoint.session.closed or not sending.is_lost(error):
                        raise
            try:
                if response.status != 200:  # noqa: PLR2004
                    raise await responses.refused(target, response)
                return await responses.answered(call, target, response)
            finally:
                if not response.closed:  # a response that is read to its end has returned its connection
                    response.release()
        except aiohttp.ClientHttpProxyError as error:
            raise refusals.barred(target, error.status, error.message) from error
        except aiohttp.ClientConnectorError as error:
            raise refusals.unreached(target, connected=False) from error
        except (aiohttp.ClientError, OSError) as error:
            unmade = isinstance(error, aiohttp.InvalidURL | aiohttp.ConnectionTimeoutError)
            raise refusals.unreached(target, connected=not unmade) from error

    def _opened(self, address: _Address, target: Target) -> _Endpoint:
        from yarl import URL  # noqa: PLC0415

        if target.api_base is None:
            raise RequestRefused(f"{target.model}: no address configured; set its api_base")
        headers = {"Content-Type": "application/json", "User-Agent": f"moa-mcp/{version('moa-mcp')}"}
        if target.api_key is not None:
            if _CONTROL.search(target.api_key):
                raise AuthFailed(f"{target.model}: the API key contains a control character, such as a line break")
            headers["Authorization"] = f"Bearer {target.api_key}"
        prefix = target.model.partition("/")[0]
        known = host(prefix)
        destination = refusals.Destination.of(target)
        if not proxies.is_usable(destination.proxy):
            raise refusals.unusable_proxy(target, destination)
        url = URL(destination.url or "")
        endpoint = self._endpoints[address] = _Endpoint(
            url,
            self._connections.session(url.scheme, headers),
            destination.proxy,
            target.wire_model or target.model,
            known is None or known.stream_usage,
            {"usage": {"include": True}} if prefix == "openrouter" else {},
        )
        return endpoint


def _import() -> None:
    for name in ("certifi", "orjson", "moa_mcp.providers.openai.sending"):
        import_module(name)


def _body(call: Call, endpoint: _Endpoint, parameters: Parameters) -> bytes:
    import orjson  # noqa: PLC0415

    body: Body = {
        "model": endpoint.model,
        "messages": request.messages(call),
        **parameters,
        **request.reply_form(call),
        **endpoint.extra,
    }
    if call.samples > 1:
        body["n"] = call.samples
    if call.on_text is not None:
        body["stream"] = True
        if endpoint.stream_usage:
            body["stream_options"] = {"include_usage": True}
    return orjson.dumps(body)
