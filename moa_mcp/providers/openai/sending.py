"""One request while it is sent, and the connector that tells it whether its connection had another request before.

It imports aiohttp, so it is imported lazily; see `client`. aiohttp's tracing would tell the same, in a multiple of the
CPU time.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakSet

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_LOST_S = 1.0
"""Seconds in which a server that closes idle connections closes one on which a request is on its way. Later, it may
have begun to answer."""


class Sending(aiohttp.BytesPayload):
    """The body of one request while it is sent."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.reuses = False
        """Whether its connection had another request before."""
        self._began = time.monotonic()

    def is_lost(self, error: aiohttp.ClientError) -> bool:
        """Whether the server closed an idle connection before it read the request, so that it can be sent again.

        `error` is why no response arrived.
        """
        partial = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
        return self.reuses and not partial and time.monotonic() - self._began < _LOST_S


class Connector(aiohttp.TCPConnector):
    """Pooled connections. It tells each `Sending` whether its connection is reused."""

    @cached_property
    def _used(self) -> WeakSet[ResponseHandler]:
        """The connections that had a request."""
        return WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's own parameter
    ) -> Connection:
        """Return a connection for a request."""
        connection = await super().connect(req, traces, timeout)
        sending, protocol = req.body, connection.protocol
        if isinstance(sending, Sending) and protocol is not None:
            sending.reuses = protocol in self._used
            if not sending.reuses:
                self._used.add(protocol)
        return connection
