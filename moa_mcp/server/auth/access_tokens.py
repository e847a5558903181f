"""OAuth access tokens as JSON Web Tokens (RFC 9068): signature, issuer, audience, times and scopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from moa_mcp.callers import Caller, OAuthSettings
from moa_mcp.callers.caller import combined
from moa_mcp.server.auth.challenges import Denied
from moa_mcp.server.auth.keys import IssuerKeys

_REQUIRED = ["iss", "sub", "aud", "exp"]
_REASONS: Mapping[type[PyJWTError], str] = {
    ExpiredSignatureError: "the token has expired",
    ImmatureSignatureError: "the token is not valid yet; compare the clocks of both servers",
    InvalidAudienceError: "the token is for another server: its aud does not name this one",
    InvalidIssuerError: "the token is of another issuer",
    InvalidSignatureError: "the signature of the token is wrong",
}
_LONGEST_SUBJECT = 255


class AccessTokens:
    """Verifies the access tokens of one authorization server."""

    def __init__(self, settings: OAuthSettings, resource: str) -> None:
        """`resource` is the URL of the MCP endpoint, the audience unless the settings name others."""
        self.settings = settings
        self._audience = list(settings.audience or (resource,))
        self._keys = IssuerKeys(settings.issuer)

    async def caller(self, token: str) -> Caller:
        """Return the caller of a token. Its name is the issuer and the subject, which together are unique.

        Raises:
            Denied: the token is not valid, or permits nothing here.

        """
        claims = await self._claims(token)
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
            raise Denied("invalid_token", "the claim sub of the token is not a text of 1 to 255 characters")
        name = f"{self.settings.issuer} {subject}"
        granted = [self.settings.scopes[each] for each in _scopes(claims) if each in self.settings.scopes]
        if not granted:
            known = " or ".join(self.settings.scopes)
            raise Denied("insufficient_scope", f"the token has no scope of this server: {known}", caller=name)
        return Caller(name, combined(granted))

    async def _claims(self, token: str) -> Mapping[str, Any]:
        algorithm, key_id = self._header(token)
        key = await self._keys.key(key_id, algorithm)
        try:
            return cast(
                "Mapping[str, Any]",
                jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    audience=self._audience,
                    issuer=self.settings.issuer,
                    leeway=self.settings.leeway_s,
                    options={"require": _REQUIRED, "enforce_minimum_key_length": True},
                ),
            )
        except MissingRequiredClaimError as error:
            raise Denied("invalid_token", f"the token has no claim {error.claim}") from error
        except PyJWTError as error:
            reason = _REASONS.get(type(error), "the token is not a valid JSON Web Token")
            raise Denied("invalid_token", reason) from error

    def _header(self, token: str) -> tuple[str, str | None]:
        """Return the algorithm and the key ID of a token's signature, if its header is acceptable."""
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError as error:
            raise Denied("invalid_token", "the token is unknown") from error
        algorithm, kind = header.get("alg"), str(header.get("typ", "JWT"))
        if algorithm not in self.settings.algorithms:
            accepted = ", ".join(self.settings.algorithms)
            raise Denied("invalid_token", f"the algorithm of the signature is not one of {accepted}")
        if kind.lower().removeprefix("application/") not in {each.lower() for each in self.settings.token_types}:
            accepted = ", ".join(self.settings.token_types)
            raise Denied("invalid_token", f"the header typ of the token is not {accepted} (RFC 9068)")
        return algorithm, header.get("kid")


def _scopes(claims: Mapping[str, Any]) -> Sequence[str]:
    """Return the scopes of a token: `scope` of RFC 9068, or `scp`, as Microsoft Entra ID and Okta write it."""
    value = claims.get("scope", claims.get("scp", ""))
    if isinstance(value, list):
        return [str(each) for each in cast("list[object]", value)]
    return str(value).split()
