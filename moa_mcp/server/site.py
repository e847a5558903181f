"""Where a server listens over HTTP, how clients know it, and which guards their requests pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from moa_mcp.callers import Caller
from moa_mcp.journal.rates import RateStore
from moa_mcp.server.access import CannotServe, ServerAccess
from moa_mcp.server.audit import AuditLog
from moa_mcp.server.auth.authenticator import Authenticator, CallerUser
from moa_mcp.server.auth.challenges import Denied
from moa_mcp.server.auth.guard import CallerAuth
from moa_mcp.server.auth.metadata import metadata_url, routes
from moa_mcp.server.bearer import BearerAuth
from moa_mcp.server.doors import CallerOf, ClientRequest, everyone_is_local
from moa_mcp.server.listeners import listening
from moa_mcp.server.public_url import HostCheck, allowed


class Site:
    """A listening socket and the guards of its requests."""

    def __init__(
        self, host: str, port: int, access: ServerAccess, path: str, *, rates: RateStore | None = None
    ) -> None:
        """Listen.

        Args:
            host: The address to listen on.
            port: The port; 0 picks a free one.
            access: Who may reach the server.
            path: Path of the MCP endpoint.
            rates: Has the requests of callers to other servers.

        Raises:
            CannotServe: the address can't be used.

        """
        access.check(host)
        self._access = access
        self._allowed = allowed(host, access.public_url)
        self.audit = _audit(access)
        self.listener = listening(host, port)
        name = f"[{host}]" if ":" in host else host
        self.origin = f"http://{name}:{self.listener.getsockname()[1]}"
        self.address = f"{self.origin}{path}"
        resource = f"{access.public_url}{path}" if access.public_url else self.address
        self._metadata_url = metadata_url(resource)
        self._authenticator = None if access.callers is None else Authenticator(access.callers, resource, rates)
        self.routes: Sequence[Route] = ()
        """Routes beside that of MCP."""
        if (authenticator := self._authenticator) is not None:
            self.routes = routes(resource, lambda: authenticator.oauth)

    @property
    def caller_of(self) -> CallerOf:
        """Returns the caller of a request."""
        return everyone_is_local if self._authenticator is None else authenticated

    def guarded(self, app: ASGIApp) -> ASGIApp:
        """Return the app behind the guards."""
        if self._authenticator is not None:
            app = CallerAuth(app, self._authenticator, self._metadata_url, partial(_note, self.audit))
        elif self._access.token:
            app = BearerAuth(app, self._access.token)
        return app if self._allowed is None else HostCheck(app, self._allowed)


def authenticated(asked: ClientRequest) -> Caller:
    """Return the caller of a request, which a guard has authenticated."""
    user = None if asked.request is None else asked.request.scope.get("user")
    if not isinstance(user, CallerUser):
        raise TypeError("a request without a caller has passed the guard")
    return user.caller


def _audit(access: ServerAccess) -> AuditLog | None:
    if access.callers is None and access.audit is None:
        return None
    try:
        return AuditLog(access.audit)
    except OSError as error:
        raise CannotServe(f"can't write the audit log {access.audit}: {error.strerror}; choose another file") from error


def _note(audit: AuditLog | None, scope: Scope, denied: Denied) -> None:
    """Write a refused request to the audit log."""
    if audit is not None:
        client = scope.get("client")
        audit.add(
            "authenticate",
            "refused" if denied.code == "rate_limited" else "denied",
            caller=denied.caller,
            method=scope["method"],
            client=client[0] if client else "",
            reason=denied.description,
        )
