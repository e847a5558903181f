"""Requests the list of models of each provider, with the user's key. It calls no model, and nothing is paid.

Messages contain neither keys nor text of the provider.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeAlias, cast
from urllib.parse import urlsplit

import anyio
import httpx2

from moa_mcp.routing import addresses, credentials, proxies
from moa_mcp.routing.local import KEY_REJECTED, LOCAL, NO_KEY
from moa_mcp.routing.routes import Route
from moa_mcp.values import Target

TIMEOUT_S = 10.0
_MOST_PAGES = 20
_MOST_BYTES = 2**25
_AGAIN = "try again later"
_WRONG_ADDRESS = "check the address"
_NO_LIST = frozenset({404, 405, 501})
_TOO_MANY = 429
Parameters: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class ListAddress:
    """Where a provider lists its models. Equal addresses are requested once."""

    provider: str
    url: str
    parameters: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """They contain the key."""
    key_name: str = field(default="api_key_env", compare=False)
    """The variable with the key."""


class ListedModels(NamedTuple):
    """The models that a provider lists."""

    names: tuple[str, ...]
    aliases: frozenset[str] = frozenset()
    """Further names that requests can use."""


class ListFailed(NamedTuple):
    """Why a provider's list could not be read, and the remedy."""

    message: str
    remedy: str
    rejects_key: bool = False


Outcome: TypeAlias = ListedModels | ListFailed


def list_address(route: Route, target: Target, environ: Mapping[str, str]) -> ListAddress | None:
    """Return where the provider of a route lists its models; None if it can't be listed with its key alone."""
    names = credentials.given(route.key_names, environ)
    make = partial(ListAddress, target.provider, key_name=names[0] if names else "api_key_env")
    if target.wire_model is not None and target.api_base is not None:
        bearer = () if target.api_key in {None, NO_KEY} else (("Authorization", f"Bearer {target.api_key}"),)
        return make(f"{_listing_base(target)}/models", headers=bearer)
    key = target.api_key or (environ.get(names[0], "").strip() if names else "")
    if target.provider == "anthropic":
        base = environ.get("ANTHROPIC_API_BASE") or environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
        token = names == ("ANTHROPIC_AUTH_TOKEN",)
        access = ("Authorization", f"Bearer {key}") if token else ("x-api-key", key)
        url = f"{_versioned(base.removesuffix('/v1/messages'), 'v1')}/models"
        return make(url, (("limit", "1000"),), (access, ("anthropic-version", "2023-06-01")))
    if target.provider == "gemini":
        base = environ.get("GEMINI_API_BASE") or "https://generativelanguage.googleapis.com"
        return make(f"{_versioned(base, 'v1beta')}/models", (("pageSize", "1000"),), (("x-goog-api-key", key),))
    return None


def _listing_base(target: Target) -> str:
    """Return the address before /models. DeepSeek lists its models only outside of /beta."""
    base = addresses.trimmed(target.api_base or "")
    return base.removesuffix("/beta") if target.provider == "deepseek" else base


def _versioned(written: str, version: str) -> str:
    base = addresses.trimmed(written)
    return base if urlsplit(base).path.rpartition("/")[2].startswith("v1") else f"{base}/{version}"


async def listings(wanted: Iterable[ListAddress], timeout_s: float = TIMEOUT_S) -> Mapping[ListAddress, Outcome]:
    """Return what each provider lists, all requested at the same time; `timeout_s` is for each provider."""
    distinct = dict.fromkeys(wanted)
    secure = httpx2.create_ssl_context() if any(_is_secure(each) for each in distinct) else False
    found: dict[ListAddress, Outcome] = {}

    async def request(address: ListAddress) -> None:
        found[address] = await _listed(address, secure, timeout_s)

    async with anyio.create_task_group() as tasks:
        for address in distinct:
            tasks.start_soon(request, address)
    return {address: found[address] for address in distinct}


def _is_secure(address: ListAddress) -> bool:
    return address.url.startswith("https:") or bool(proxies.proxy_for(address.url))


async def _listed(address: ListAddress, verify: ssl.SSLContext | bool, timeout_s: float) -> Outcome:
    shown = addresses.shown(address.url)
    proxy = proxies.proxy_for(address.url)
    if not proxies.is_usable(proxy):
        return ListFailed(f"needs the proxy {addresses.shown(proxy)}, whose kind is not supported", _unreached(address))
    try:
        with anyio.fail_after(timeout_s):
            async with httpx2.AsyncClient(verify=verify, timeout=None, trust_env=False, proxy=proxy) as client:
                return await _all_pages(client, address)
    except TimeoutError:
        return ListFailed(f"did not answer within {timeout_s:g} s at {shown}", _AGAIN)
    except httpx2.TransportError:
        return ListFailed(f"can't be reached at {shown}", _unreached(address))
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return ListFailed(f"gave no readable answer at {shown}", _WRONG_ADDRESS)
    except (OverflowError, UnicodeError, ValueError):
        return ListFailed("can't be requested: the key has characters that keys can't have", f"set {address.key_name}")


def _unreached(address: ListAddress) -> str:
    if proxies.proxy_for(address.url):
        return proxies.remedy(address.url)
    local = LOCAL.get(address.provider)
    return f"start {local.title}" if local else "check the network and the address"


async def _all_pages(client: httpx2.AsyncClient, address: ListAddress) -> Outcome:
    entries: list[Mapping[str, Any]] = []
    further: Parameters = {}
    for _ in range(_MOST_PAGES):
        body = await _body(client, address, {**dict(address.parameters), **further})
        if isinstance(body, ListFailed):
            return body
        page = _entries(body)
        if page is None:
            return _unlisted(address)
        entries += page
        further = _further(body)
        if not further:
            break
    names = tuple(dict.fromkeys(name for each in entries if (name := _name(each))))
    return ListedModels(names, frozenset(name for each in entries for name in _aliases(each)))


async def _body(client: httpx2.AsyncClient, address: ListAddress, parameters: Parameters) -> Any:  # noqa: ANN401  JSON of a server, or why there is none
    async with client.stream("GET", address.url, params=parameters, headers=dict(address.headers)) as reply:
        if not reply.is_success:
            return _refused(address, reply.status_code)
        read = bytearray()
        with anyio.CancelScope() as too_long:  # to leave the loop early would leave generators of httpx open
            async for piece in reply.aiter_bytes():
                read += piece
                if len(read) > _MOST_BYTES:
                    too_long.cancel()
    if too_long.cancel_called:
        return _unlisted(address)
    try:
        return json.loads(bytes(read))
    except ValueError:
        return _unlisted(address)


def _unlisted(address: ListAddress) -> ListFailed:
    return ListFailed(f"answered with something else than a list of models at {_shown(address)}", _WRONG_ADDRESS)


def _refused(address: ListAddress, status: int) -> ListFailed:
    if status in KEY_REJECTED:
        return ListFailed(
            f"rejects the key (HTTP {status})", f"set {address.key_name} to a valid key", rejects_key=True
        )
    if status in _NO_LIST:
        return ListFailed(f"has no list of models at {_shown(address)} (HTTP {status})", _WRONG_ADDRESS)
    if status == _TOO_MANY:
        return ListFailed(f"had too many requests (HTTP {status})", _AGAIN)
    if status >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return ListFailed(f"failed (HTTP {status})", _AGAIN)
    return ListFailed(f"rejects the request at {_shown(address)} (HTTP {status})", _WRONG_ADDRESS)


def _shown(address: ListAddress) -> str:
    return addresses.shown(address.url)


def _entries(body: object) -> Sequence[Mapping[str, Any]] | None:
    """Return the entries of a page: of OpenAI's and Anthropic's shape, of Gemini's, or a bare list as Together's."""
    if isinstance(body, dict):
        document = cast("dict[str, Any]", body)
        key = next((key for key in ("data", "models") if key in document), None)
        body = None if key is None else document[key] or []  # Ollama without models sends null
    if not isinstance(body, list):
        return None
    return [cast("dict[str, Any]", entry) for entry in cast("list[object]", body) if isinstance(entry, dict)]


def _further(body: object) -> Parameters:
    """Return the parameters for the next page; empty after the last one."""
    page = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    if page.get("has_more") and page.get("last_id"):
        return {"after_id": str(page["last_id"])}
    return {"pageToken": str(page["nextPageToken"])} if page.get("nextPageToken") else {}


def _name(entry: Mapping[str, Any]) -> str:
    """Return the name of a model as requests use it; empty if there is none."""
    identifier, name = (str(entry.get(key) or "") for key in ("id", "name"))
    if "://" in identifier:  # GitHub's identify a registry
        identifier = name
    return (identifier or name).removeprefix("models/")


def _aliases(entry: Mapping[str, Any]) -> list[str]:
    """Return further names of a model: OpenRouter's permanent one, Mistral's aliases."""
    given = entry.get("aliases")
    further = cast("list[object]", given) if isinstance(given, list) else []
    return [each for each in (entry.get("canonical_slug"), *further) if isinstance(each, str) and each]
