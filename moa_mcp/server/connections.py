"""HTTP connections with limits: time for a request to arrive, and number of open connections.

uvicorn has no such limits before the first request is complete, and so before authentication. This module knows nothing
about MCP.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20.0
"""Time limit for the head of a request to arrive, in seconds."""
BODY_S = 60.0
"""Time limit for the body to arrive after the head, in seconds."""
IDLE_S = 120
"""Seconds before an idle connection is closed: longer than clients and proxies reuse one."""
WAITING = 2048
"""Maximum number of connections that wait to be accepted. The kernel may allow fewer."""
_MOST = 10_000
_LEAST = 16
_WARN_EVERY_S = 60.0

_log = logging.getLogger(__name__)


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1. Closes connections whose request is late, and the oldest one if too many are open."""

    most: ClassVar[int]
    """Maximum number of open connections."""
    crowd: ClassVar[set[Connection]]
    """The open connections."""
    _limit: asyncio.TimerHandle | None = None
    _awaits_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the time limit of the first request."""
        super().connection_made(transport)
        self.crowd.add(self)
        self._watch()
        if len(self.crowd) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Process data, and start or stop the time limit for the rest."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Start the time limit of the next request if a part of it has arrived."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._leave()
        super().connection_lost(exc)

    @property
    def expires(self) -> float | None:
        """When the next part of a request is due, on the loop's clock; None if nothing is due."""
        return None if self._limit is None else self._limit.when()

    @property
    def idle_until(self) -> float | None:
        """When the idle connection will be closed, on the loop's clock; None if it is in use."""
        timer = self.timeout_keep_alive_task
        return None if timer is None else timer.when()

    def drop(self) -> None:
        """Close the connection at once."""
        self._leave()
        self.transport.abort()

    def _leave(self) -> None:
        self.crowd.discard(self)
        self._unlimited()

    def _watch(self) -> None:
        state = self.conn.their_state
        head, body = state is h11.IDLE, state is h11.SEND_BODY
        if (head or body) and self._limit is not None and body == self._awaits_body:
            return
        self._unlimited()
        if (head or body) and not self.transport.is_closing():
            self._awaits_body = body
            self._limit = self.loop.call_later(BODY_S if body else HEAD_S, self.drop)

    def _unlimited(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _make_room(self) -> None:
        """Drop the connection whose request is due first, else the one that is idle longest, else this one."""
        waiting = [(each.expires, each) for each in self.crowd if each.expires is not None and each is not self]
        idle = [(each.idle_until, each) for each in self.crowd if each.idle_until is not None]
        first = min(waiting or idle, key=lambda pair: pair[0], default=(0.0, self))[1]
        first.drop()


def limited(limit: int) -> type[Connection]:
    """Return a connection class for one server, with a maximum number of open connections."""

    class Limited(Connection):
        most = limit
        crowd: ClassVar[set[Connection]] = set()

    return Limited


def most_connections() -> int:
    """Return a number of connections that leaves enough file descriptors to answer them."""
    if sys.platform == "win32":
        return 256
    import resource  # noqa: PLC0415  not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST if hard == resource.RLIM_INFINITY else min(2 * _MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return _MOST if soft == resource.RLIM_INFINITY else max(_LEAST, min(_MOST, soft // 2))


def accepted_at_once(most: int) -> int:
    """Return how many connections to accept at once. Closing the oldest takes two iterations of the event loop."""
    return max(4, min(256, most // 8))


class Faults:
    """Handles exceptions of the event loop: ignores disconnected clients, and repeats a warning once a minute."""

    def __init__(self) -> None:
        self._warned: dict[str, float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError):
            loop.default_exception_handler(context)
        elif not isinstance(error, ConnectionError):
            self._warn(f"{context.get('message')}: {error.strerror}")

    def _warn(self, message: str) -> None:
        now = time.monotonic()
        if now - self._warned.get(message, -_WARN_EVERY_S) >= _WARN_EVERY_S:
            self._warned[message] = now
            _log.warning("%s", message)
