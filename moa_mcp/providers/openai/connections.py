"""Pooled connections to OpenAI-compatible servers. Each is closed a little earlier than its server would close it.

A server may close an idle connection while a request is on its way, which is then lost unread. It is sent again.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

    from moa_mcp.providers.openai.sending import Connector

_CONNECT_S = 20.0
_KEPT_S, _KEPT_PLAIN_S = 55.0, 4.0
"""Seconds to keep an idle connection open for the next layer, with TLS and without. Providers close theirs after 60.
Servers without TLS, such as uvicorn and llama.cpp, do so after 5; a new connection to them takes no time."""
_NAMES_S = 300
_BUFFER = 2**18


class Connections:
    """The open connections to all servers."""

    def __init__(self) -> None:
        self._connectors: dict[str, Connector] = {}
        self._sessions: list[aiohttp.ClientSession] = []

    def session(self, scheme: str, headers: Mapping[str, str]) -> aiohttp.ClientSession:
        """Return a session for addresses with this scheme, until the connections are closed.

        All its requests have these headers; their body is a `Sending`.
        """
        import aiohttp  # noqa: PLC0415  lazy, see `client`

        session = aiohttp.ClientSession(
            connector=self._connectors.get(scheme) or self._opened(scheme),
            connector_owner=False,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_BUFFER,
        )
        self._sessions.append(session)
        return session

    async def close(self) -> None:
        """Close all connections and sessions; a new session opens new ones."""
        sessions, self._sessions = self._sessions, []
        connectors, self._connectors = self._connectors, {}
        for session in sessions:
            await session.close()
        for connector in connectors.values():
            await connector.close()

    def _opened(self, scheme: str) -> Connector:
        from moa_mcp.providers.openai.sending import Connector  # noqa: PLC0415

        secure = scheme == "https"
        # The slots and timeout layers limit concurrency and time.
        connector = self._connectors[scheme] = Connector(
            limit=0,
            ttl_dns_cache=_NAMES_S,
            keepalive_timeout=_KEPT_S if secure else _KEPT_PLAIN_S,
            ssl=_tls_context() if secure else True,
        )
        return connector


def _tls_context() -> ssl.SSLContext:
    """Return a context with the system's certificates, or certifi's if the system has none."""
    import certifi  # noqa: PLC0415

    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    return context
