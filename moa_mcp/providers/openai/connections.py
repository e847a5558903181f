"""Pooled connections to OpenAI-compatible servers. Each is closed a little earlier than its server would close it.

A server may close an idle connection while a request is on its way, which is then lost unread. It is sent again.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

_CONNECT_S = 20.0
_KEPT_S, _KEPT_PLAIN_S = 55.0, 4.0
"""Seconds to keep an idle connection open for the next layer, with TLS and without. Providers close theirs after 60.
Servers without TLS, such as uvicorn and llama.cpp, do so after 5; a new connection to them takes no time."""
_NAMES_S = 300
_BUFFER = 2**18


class Connections:
    """The open connections to all servers."""

    def __init__(self) -> None:
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    def session(self, scheme: str) -> aiohttp.ClientSession:
        """Return the session for addresses with this scheme. The body of its requests is a `Sending`."""
        return self._sessions.get(scheme) or self._opened(scheme)

    async def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        sessions, self._sessions = self._sessions, {}
        for each in sessions.values():
            await each.close()

    def _opened(self, scheme: str) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415  lazy, see `client`

        from moa_mcp.providers.openai.sending import Connector  # noqa: PLC0415

        secure = scheme == "https"
        # The slots and timeout layers limit concurrency and time.
        connector = Connector(
            limit=0,
            ttl_dns_cache=_NAMES_S,
            keepalive_timeout=_KEPT_S if secure else _KEPT_PLAIN_S,
            ssl=_tls_context() if secure else True,
        )
        session = self._sessions[scheme] = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_BUFFER,
        )
        return session


def _tls_context() -> ssl.SSLContext:
    """Return a context with the system's certificates, or certifi's if the system has none."""
    import certifi  # noqa: PLC0415

    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    return context
