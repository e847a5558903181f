"""Base addresses of the providers that litellm calls over their native APIs, as users configure them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from moa_mcp.routing import addresses
from moa_mcp.values import Target


class _Wire(NamedTuple):
    variables: tuple[str, ...]
    """The environment variables that set another address, in litellm's order."""
    added: re.Pattern[str]
    """The path that litellm appends to an address."""
    version: str
    """The path to add when an address names only a server."""


_WIRES: Mapping[str, _Wire] = {
    "anthropic": _Wire(("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"), re.compile(r"/v1(?:/messages)?$"), ""),
    "gemini": _Wire(("GEMINI_API_BASE",), re.compile(r"/(?:models(?:/.*)?|openai)$"), "/v1beta"),
    "azure": _Wire(("AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"), re.compile(r"/openai/deployments(?:/.*)?$"), ""),
    "cohere_chat": _Wire(("COHERE_API_BASE",), re.compile(r"$^"), "/v2/chat"),
}


def base(target: Target, environ: Mapping[str, str]) -> str | None:
    """Return the base address to pass to litellm for a target; None for litellm's default."""
    wire = _WIRES.get(target.provider)
    if wire is None:
        return addresses.trimmed(target.api_base) if target.api_base else None
    named = target.api_base or next((environ[name] for name in wire.variables if environ.get(name)), "")
    if not named.strip():
        return None
    address = wire.added.sub("", "".join(named.split()).partition("?")[0].rstrip("/")).rstrip("/")
    return address if urlsplit(address).path else f"{address}{wire.version}"
