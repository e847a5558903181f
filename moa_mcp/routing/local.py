"""Servers of the user: where they usually are, and which models they have."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple, TypeAlias, cast
from urllib.parse import urlsplit

import anyio
import httpx2
from msgspec import Struct

from moa_mcp.routing import addresses, proxies
from moa_mcp.values import Target

NO_KEY = "none"
"""Sent to servers that need no key: some clients and servers require a value."""
_LATEST = ":latest"
_PROBE_S = 1.0
KEY_REJECTED = frozenset({401, 403})


class Local(NamedTuple):
    """An OpenAI-compatible server that usually runs on the user's machine."""

    title: str
    variable: str
    """The environment variable that overrides the address."""
    key: str
    """The environment variable with its key, if it needs one."""
    base: str
    load: str | None
    """The command that makes a model available, before its name; None if the server has one model under any name."""

    def has(self, models: Listing, name: str) -> bool:
        """Whether the server serves a model, as far as its list tells."""
        wanted = {name.lower(), f"{name}{_LATEST}".lower()}
        return self.load is None or not wanted.isdisjoint(each.lower() for each in models)

    def loading(self, name: str) -> str:
        """Return the command that makes a model available."""
        return f"{self.load} {shlex.quote(name)}"


Listing: TypeAlias = tuple[str, ...]
"""The names of the models of a server."""


class Unlisted(Struct, frozen=True):
    """A server that answers, but not with its models."""

    problem: str
    """What it does instead, such as ``answers HTTP 500``."""
    rejects_key: bool = False


Probe: TypeAlias = Callable[[str, str | None], Awaitable[Listing | Unlisted | None]]
"""Returns the models of the server at an address, asked with a key; None if none answers."""

LOCAL: Mapping[str, Local] = {
    "ollama": Local("Ollama", "OLLAMA_API_BASE", "OLLAMA_API_KEY", "http://127.0.0.1:11434/v1", "ollama pull"),
    "lm_studio": Local("LM Studio", "LM_STUDIO_API_BASE", "LM_STUDIO_API_KEY", "http://127.0.0.1:1234/v1", "lms get"),
    "hosted_vllm": Local(
        "vLLM", "HOSTED_VLLM_API_BASE", "HOSTED_VLLM_API_KEY", "http://127.0.0.1:8000/v1", "vllm serve"
    ),
    "llamafile": Local("llama.cpp", "LLAMAFILE_API_BASE", "LLAMAFILE_API_KEY", "http://127.0.0.1:8080/v1", None),
}


def base_of(local: Local, environ: Mapping[str, str]) -> str:
    """Return the address of a local server: from the environment, else the usual one."""
    named = environ.get(local.variable)
    return addresses.local_base(named) if named else local.base


async def models_at(api_base: str, key: str | None = None) -> Listing | Unlisted | None:
    """Return the models of an OpenAI-compatible server, asked through the same proxy as calls; None if none answers."""
    headers = {} if key in {None, NO_KEY} else {"Authorization": f"Bearer {key}"}
    try:
        url = f"{addresses.trimmed(api_base)}/models"
        proxy = proxies.proxy_for(url)
        if not (proxies.is_usable(proxy) if proxy else await _listens(url)):
            return None
        secure = url.startswith("https:") or bool(proxy)  # loading certificates takes longer than asking a server
        async with httpx2.AsyncClient(verify=secure, timeout=_PROBE_S, trust_env=False, proxy=proxy) as client:
            return _listed(await client.get(url, headers=headers))
    except httpx2.TimeoutException:
        return Unlisted(f"does not answer within {_PROBE_S:g} s")
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return None


async def _listens(url: str) -> bool:
    """Whether a server accepts connections. Usually none does, and loading the HTTP client takes much longer."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    try:
        with anyio.fail_after(_PROBE_S):
            async with await anyio.connect_tcp(parts.hostname or "", port):
                return True
    except (OSError, TimeoutError):
        return False


def _listed(reply: httpx2.Response) -> Listing | Unlisted:
    if not reply.is_success:
        return Unlisted(f"answers HTTP {reply.status_code}", rejects_key=reply.status_code in KEY_REJECTED)
    try:
        return _names(reply.json())
    except (AttributeError, KeyError, TypeError, ValueError):
        return Unlisted("answers with something else than a list of models")


def _names(body: Any) -> Listing:  # noqa: ANN401  JSON of a server
    entries = cast("list[dict[str, Any]]", body["data"] or [])  # Ollama without models sends null
    names = (str(entry["id"]) for entry in entries if entry.get("id"))
    return tuple(name for name in names if name.strip() and name.isprintable())


def is_local(target: Target) -> bool:
    """Return whether a target is a program or a model server of the user, rather than a provider or a gateway.

    A server on this machine or in its network that needs a key counts as a gateway.
    """
    if target.program is not None or target.provider in LOCAL:
        return True
    return target.api_key in {None, NO_KEY} and _is_near(urlsplit(target.api_base or "").hostname or "")


def _is_near(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".local")
    return address.is_private or address.is_loopback
