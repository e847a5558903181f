"""Finds the caller of a bearer token: by the file of callers, or by an access token of OAuth."""

from __future__ import annotations

from collections.abc import Callable

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from moa_mcp.callers import Caller, CallersFile, OAuthSettings
from moa_mcp.callers.tokens import hashed
from moa_mcp.journal.rates import RateStore
from moa_mcp.server.auth.access_tokens import AccessTokens
from moa_mcp.server.auth.challenges import Denied
from moa_mcp.server.auth.rates import RequestRates


class CallerUser(AuthenticatedUser):
    """The user of a request. The SDK compares callers by it: a session belongs to the one that began it."""

    def __init__(self, caller: Caller, granted_by: str | OAuthSettings) -> None:
        """`granted_by` is the hash of the token in the file, or the settings of OAuth that accepted it."""
        super().__init__(AccessToken(token="", client_id=caller.name, scopes=[], subject=caller.name))
        self.caller = caller
        self.granted_by = granted_by


class Authenticator:
    """Authenticates the callers of one server."""

    def __init__(self, file: CallersFile, resource: str, rates: RateStore | None = None) -> None:
        """`resource` is the URL of the MCP endpoint; `rates` has the requests to other processes."""
        self._file = file
        self._resource = resource
        self._tokens: AccessTokens | None = None
        self._rates = RequestRates(rates)

    @property
    def oauth(self) -> OAuthSettings | None:
        """The settings of OAuth, if it is configured."""
        return self._file.current().oauth

    async def user(self, token: str) -> CallerUser:
        """Return the user of a bearer token, and count the request. Raises `Denied`."""
        callers, digest = self._file.current(), hashed(token)
        caller = callers.named.get(digest)
        user = await self._by_oauth(token, callers.oauth) if caller is None else CallerUser(caller, digest)
        await self._rates.take(user.caller)
        return user

    def admits(self, user: CallerUser) -> bool:
        """Whether a user that was authenticated earlier may go on: it is still a caller, and an operator if it was."""
        callers = self._file.current()
        if not isinstance(user.granted_by, str):
            return user.granted_by == callers.oauth
        now = callers.named.get(user.granted_by)
        if now is None or now.name != user.caller.name:
            return False
        return now.permissions.operator or not user.caller.permissions.operator

    def on_change(self, hear: Callable[[], None]) -> None:
        """Have a function called when the file of callers has changed."""
        self._file.on_change(hear)

    async def _by_oauth(self, token: str, settings: OAuthSettings | None) -> CallerUser:
        if settings is None:
            raise Denied("invalid_token", "the token is unknown")
        if self._tokens is None or self._tokens.settings != settings:
            self._tokens = AccessTokens(settings, self._resource)
        return CallerUser(await self._tokens.caller(token), settings)
