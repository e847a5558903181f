"""Passes on the requests of callers, and refuses others. What every client may read needs no token."""

from __future__ import annotations

from collections.abc import Callable

from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Receive, Scope, Send

from moa_mcp.callers import OAuthSettings
from moa_mcp.server.auth.authenticator import Authenticator
from moa_mcp.server.auth.challenges import Denied, response
from moa_mcp.server.auth.open_requests import OpenRequests

WELL_KNOWN = "/.well-known/oauth-protected-resource"
"""The path of the protected resource metadata, which needs no token."""
_BLANKS = b" \t"


class CallerAuth:
    """Middleware: authenticates each request (RFC 6750, section 2.1), and ends those of callers that are removed."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, metadata_url: str, refused: Callable[[Scope, Denied], None]
    ) -> None:
        """`refused` is called for each refusal."""
        self._app = app
        self._authenticator = authenticator
        self._open = OpenRequests(app)
        authenticator.on_change(lambda: self._open.require(authenticator.admits))
        self._metadata_url = metadata_url
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(WELL_KNOWN):
            await self._app(scope, receive, send)
            return
        try:
            user = await self._authenticator.user(_token(scope))
        except Denied as denied:
            self._refused(scope, denied)
            oauth = self._authenticator.oauth
            answer = response(denied, metadata_url=self._metadata_url if oauth else "", scope=_scope(oauth))
            await answer(scope, receive, send)
            return
        await self._open.answer(user, {**scope, "auth": AuthCredentials()}, receive, send)


def _token(scope: Scope) -> str:
    """Return the bearer token of a request. The scheme is case-insensitive (RFC 9110, section 11.1)."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) > 1:
        raise Denied("invalid_request", "more than one Authorization header")
    kind, _, token = (given[0] if given else b"").strip(_BLANKS).partition(b" ")
    token = token.strip(_BLANKS)
    if kind.lower() != b"bearer" or not token:
        raise Denied("", "send a token: Authorization: Bearer ...")
    return token.decode("latin-1")


def _scope(oauth: OAuthSettings | None) -> str:
    """Return the scopes that a client should ask for: those without rights of an operator, if there are any."""
    if oauth is None:
        return ""
    plain = [name for name, permissions in oauth.scopes.items() if not permissions.operator]
    return " ".join(plain or oauth.scopes)
