"""The tables of callers.toml as values."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from moa_mcp.config.tables import Table, USDollars

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _listed(value: object) -> object:
    """Return a list of TOML as a tuple, and one value as the only one of a tuple."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _hash(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise ValueError("the value (not shown) should be the SHA-256 of a token, 64 digits 0-9a-f")
    return value


def _reachable(url: str) -> str:
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not (secure and parts.hostname) or parts.query or parts.fragment:
        raise ValueError(f"{url!r} should be an https:// URL without query and fragment")
    return url


def _scope(name: str) -> str:
    if not _SCOPE.fullmatch(name):
        raise ValueError(f"{name!r} can't be a scope; use ASCII without spaces, quotes and backslashes (RFC 6749)")
    return name


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a public key. `none`, and HMAC, whose key could be the public one, can't be configured."""


class Permissions(Table):
    """What a caller may do."""

    pipelines: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] | None = None
    """The pipelines that the caller can see and call. All by default."""
    max_cost_usd_per_day: USDollars | None = None
    """Maximum cost of the caller's runs that start or continue on one day (UTC), in US dollars."""
    max_runs: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of the caller's runs at the same time."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of the caller's HTTP requests per minute: to all servers with the same journal in PostgreSQL,
    else to each."""
    operator: bool = False
    """Whether the caller sees and manages the runs of all callers."""


class NamedCaller(Permissions):
    """A caller with a token, `[callers.NAME]`."""

    token_sha256: Annotated[str, AfterValidator(_hash)]
    """The SHA-256 of the token. `moa-mcp callers add` makes a token and stores this."""


class OAuthSettings(Table):
    """An authorization server whose access tokens are accepted, `[oauth]`."""

    issuer: Annotated[str, AfterValidator(_reachable)]
    """Its issuer identifier, exactly as in the claim `iss` and in its metadata."""
    audience: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] | None = None
    """Values of the claim `aud` that name this server. The URL of its MCP endpoint by default."""
    algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(_listed), Field(min_length=1)] = ("RS256", "ES256")
    """Accepted signatures, all with a public key."""
    token_types: Annotated[tuple[Literal["at+jwt", "JWT"], ...], BeforeValidator(_listed), Field(min_length=1)] = (
        "at+jwt",
    )
    """Accepted values of the header `typ`. Some authorization servers only write `"JWT"`."""
    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30.0
    """Tolerated difference between the clocks, in seconds."""
    scopes: Annotated[dict[Annotated[str, AfterValidator(_scope)], Permissions], Field(min_length=1)]
    """What each scope permits, `[oauth.scopes.NAME]`. A token with several scopes has the largest permission of each
    kind. A token with none of them is refused."""
