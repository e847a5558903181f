"""A second HTTP port for monitoring: /metrics, /health and /ready, without a token.

It is separate from the port of clients, so that neither needs the other's token or address, and works over stdio, too.
"""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.metadata import version

import anyio
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from moa_mcp.errors import JournalError
from moa_mcp.journal import Journal
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.metrics.instruments import Metrics
from moa_mcp.metrics.observer import RunMetrics
from moa_mcp.runs import Runs
from moa_mcp.server.health import JOURNAL_S, Health
from moa_mcp.server.probes import Probes
from moa_mcp.server.sessions import Sessions
from moa_mcp.values import Status

PATH = "/metrics"
_UNENDED: tuple[Status, ...] = ("queued", "running")
_MOST = 50
"""Maximum number of requests at once."""
_SHUTDOWN_S = 1


class Monitoring:
    """Counts the runs of a process, and serves the counts on a socket that listens."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._counts = Metrics(version("moa-mcp"))
        self._journal: Journal = MemoryJournal()
        self.observer = RunMetrics(self._counts)

    @asynccontextmanager
    async def serve(self, runs: Runs, health: Health, sessions: Sessions) -> AsyncGenerator[None]:
        """Answer requests inside the block."""
        self._journal = runs.journal
        self._counts.watch(
            {
                "moa_sessions_open": ("Sessions of clients from before 2026-07-28", lambda: len(sessions)),
                "moa_draining": ("1 if this process is about to end, else 0", lambda: runs.draining),
                "moa_journal_failing_seconds": (
                    "Seconds since writes to the journal fail; 0 if they succeed",
                    lambda: runs.journal.unwritten_s,
                ),
            }
        )
        config = uvicorn.Config(
            Probes(self._answer, health),
            ws="none",
            lifespan="off",
            limit_concurrency=_MOST,
            timeout_graceful_shutdown=_SHUTDOWN_S,
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
        )
        server = _WithoutSignals(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [self._listener])
            try:
                yield
            finally:
                server.should_exit = True

    async def _count_unended(self) -> None:
        """Count the runs in the journal that have not ended, up to 1000 of each status; NaN if it does not answer."""
        journal = self._journal
        for status in _UNENDED:
            count = math.nan
            with anyio.move_on_after(JOURNAL_S), suppress(JournalError):
                count = len(await journal.records(statuses=frozenset({status})))
            self._counts.runs.unended.labels(status).set(count)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == PATH and scope["method"] in {"GET", "HEAD"}:
            await self._count_unended()
            answer = Response(self._counts.text(), media_type=self._counts.content_type)
        else:
            answer = Response(status_code=404)
        await answer(scope, receive, send)


class _WithoutSignals(uvicorn.Server):
    """Leaves the signals of the process to others."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
