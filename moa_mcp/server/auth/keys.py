"""The signing keys of an authorization server, found by its metadata (RFC 8414, OpenID Connect), and cached."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import httpx2
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from moa_mcp.server.auth.challenges import Denied

FRESH_S = 3600.0
"""Seconds after which the keys are read again, so that a withdrawn key is not accepted for long."""
PAUSE_S = 30.0
"""Least seconds between two readings: a token with an invented key ID must not cause requests."""
_TIMEOUT_S = 10.0
_MOST_BYTES = 1_000_000
_FAMILIES = {"R": "RSA", "P": "RSA", "E": "EC"}

_log = logging.getLogger(__name__)

_Key = Mapping[str, Any]


class _Unusable(Exception):
    """A document of the authorization server can't be read or used."""


class IssuerKeys:
    """The public keys of one issuer."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._keys: Sequence[_Key] = ()
        self._read_at = self._tried_at = -FRESH_S
        self._lock = anyio.Lock()

    async def key(self, key_id: str | None, algorithm: str) -> PyJWK:
        """Return the key of a signature. Without a key ID, there must be a single key for the algorithm.

        Raises:
            Denied: there is no such key (`invalid_token`), or the keys can't be read (`unavailable`).

        """
        found = _matching(self._keys, key_id, algorithm)
        old = time.monotonic() - self._read_at >= FRESH_S
        if not found or (old and not self._lock.locked()):
            await self._refresh()
            found = _matching(self._keys, key_id, algorithm)
        if not self._keys:
            raise Denied("unavailable", "the keys of the authorization server can't be read", retry_after_s=PAUSE_S)
        if len(found) != 1:
            raise Denied("invalid_token", "the token is not signed with a key of its issuer")
        try:
            return PyJWK(dict(found[0]), algorithm)
        except PyJWTError as error:
            raise Denied("invalid_token", "the key of the token's signature can't be used") from error

    async def _refresh(self) -> None:
        """Read the keys, at most once in `PAUSE_S` seconds. If that fails, keep the ones that are known."""
        asked_at = time.monotonic()
        async with self._lock:
            if self._read_at > asked_at or time.monotonic() - self._tried_at < PAUSE_S:
                return
            self._tried_at = time.monotonic()
            try:
                with anyio.fail_after(_TIMEOUT_S):
                    self._keys = await _read(self._issuer)
            except (_Unusable, httpx2.HTTPError, TimeoutError, ValueError) as error:
                _log.warning("can't read the signing keys of %s: %s", self._issuer, error or type(error).__name__)
            else:
                self._read_at = time.monotonic()


def _matching(keys: Sequence[_Key], key_id: str | None, algorithm: str) -> list[_Key]:
    family = _FAMILIES.get(algorithm[0]) if algorithm != "EdDSA" else "OKP"
    return [
        each
        for each in keys
        if (key_id is None or each.get("kid") == key_id)
        and each.get("kty") == family
        and each.get("use", "sig") == "sig"
        and each.get("alg", algorithm) == algorithm
    ]


async def _read(issuer: str) -> Sequence[_Key]:
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client:
        address = await _keys_address(client, issuer)
        keys = (await _document(client, address)).get("keys")
    if not isinstance(keys, list):
        raise _Unusable(f"{address} has no list of keys")
    return [cast("_Key", each) for each in cast("list[object]", keys) if isinstance(each, dict)]


async def _keys_address(client: httpx2.AsyncClient, issuer: str) -> str:
    errors: list[str] = []
    for url in metadata_addresses(issuer):
        try:
            metadata = await _document(client, url)
        except (_Unusable, httpx2.HTTPError, ValueError) as error:
            errors.append(str(error) or f"{url}: {type(error).__name__}")
            continue
        if metadata.get("issuer") != issuer:  # RFC 8414, section 3.3
            raise _Unusable(f"{url} is the metadata of another issuer; write that issuer exactly as it does")
        address = metadata.get("jwks_uri")
        if not isinstance(address, str) or urlsplit(address).scheme not in {"https", urlsplit(issuer).scheme}:
            raise _Unusable(f"{url} has no jwks_uri with https://")
        return address
    raise _Unusable("; ".join(errors))


def metadata_addresses(issuer: str) -> Iterator[str]:
    """Yield where the metadata of an issuer may be: RFC 8414 (section 3.1, section 5) and OpenID Connect Discovery."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    yield f"{origin}{path}/.well-known/openid-configuration"
    if path:
        yield f"{origin}/.well-known/openid-configuration{path}"


async def _document(client: httpx2.AsyncClient, url: str) -> Mapping[str, Any]:
    """Return a JSON object. Raises `_Unusable`, `httpx2.HTTPError`, `ValueError`."""
    async with client.stream("GET", url, headers={"Accept": "application/json"}) as answer:
        if answer.status_code != HTTPStatus.OK:
            raise _Unusable(f"{url} answers with status {answer.status_code}")
        text = b""
        async for piece in answer.aiter_bytes():
            text += piece
            if len(text) > _MOST_BYTES:
                raise _Unusable(f"{url} has more than {_MOST_BYTES} bytes")
    value: object = json.loads(text)
    if not isinstance(value, dict):
        raise _Unusable(f"{url} is not a JSON object")
    return cast("Mapping[str, Any]", value)
