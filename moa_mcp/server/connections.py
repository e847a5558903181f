"""HTTP connections with limits: how long a request may take to arrive, and how many may be open at once.

uvicorn has neither for what comes before the first request is complete, so before any authentication. Nothing here
knows what is served.
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
"""Seconds in which a request's head must have arrived."""
BODY_S = 60.0
"""Seconds in which its body must have arrived after that."""
IDLE_S = 120
"""Seconds for which a connection is kept between two requests: longer than clients and proxies reuse one."""
WAITING = 2048
"""How many connections may wait to be accepted, the kernel willing."""
_MOST = 10_000
_LEAST = 16
_TOLD_EVERY_S = 60.0

_log = logging.getLogger(__name__)


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1, which closes what does not come to an end, and the oldest where there are too many."""

    most: ClassVar[int]
    """How many may be open at once."""
    crowd: ClassVar[set[Connection]]
    """Those that are."""
    _limit: asyncio.TimerHandle | None = None
    _awaits_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.crowd.add(self)
        self._watch()
        if len(self.crowd) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived, and wait for the rest of it."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for another request, of which a part may have arrived already."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._leave()
        super().connection_lost(exc)

    @property
    def expires(self) -> float | None:
        """When the request that is awaited must be there, on the loop's clock; None if all of one is."""
        return None if self._limit is None else self._limit.when()

    @property
    def idle_until(self) -> float | None:
        """When the connection is closed if no other request comes, on the loop's clock; None if one is under way."""
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
        """Drop the connection whose request is due first, else the one idle longest, else this one."""
        waiting = [(each.expires, each) for each in self.crowd if each.expires is not None and each is not self]
        idle = [(each.idle_until, each) for each in self.crowd if each.idle_until is not None]
        first = min(waiting or idle, key=lambda pair: pair[0], default=(0.0, self))[1]
        first.drop()


def limited(limit: int) -> type[Connection]:
    """Return the connections of one server, of which so many may be open at once."""

    class Limited(Connection):
        most = limit
        crowd: ClassVar[set[Connection]] = set()

    return Limited


def most_connections() -> int:
    """Return how many connections leave room for the descriptors that answering them takes."""
    if sys.platform == "win32":
        return 256
    import resource  # noqa: PLC0415  there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST if hard == resource.RLIM_INFINITY else min(2 * _MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return _MOST if soft == resource.RLIM_INFINITY else max(_LEAST, min(_MOST, soft // 2))


def accepted_at_once(most: int) -> int:
    """Return how many connections to accept before the oldest are closed: that takes two rounds of the event loop."""
    return max(4, min(256, most // 8))


class Faults:
    """An event loop's handler: a client that goes away is no fault, and too few descriptors are told now and then."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError):
            loop.default_exception_handler(context)
        elif not isinstance(error, ConnectionError):
            self._tell(f"{context.get('message')}: {error.strerror}")

    def _tell(self, message: str) -> None:
        now = time.monotonic()
        if now - self._told.get(message, -_TOLD_EVERY_S) >= _TOLD_EVERY_S:
            self._told[message] = now
            _log.warning("%s", message)
