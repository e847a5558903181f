"""The transports: stdio, streamable HTTP, SSE. Each function serves until the process is stopped."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

import anyio
import uvicorn
from mcp.server.runner import serve_dual_era_loop
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.message import SessionMessage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from moa_mcp.config import Config
from moa_mcp.journal import Journal
from moa_mcp.journal.rates import rates_of
from moa_mcp.runs import Runs
from moa_mcp.server.access import ServerAccess
from moa_mcp.server.app import App
from moa_mcp.server.bodies import Bodies
from moa_mcp.server.frames import receive
from moa_mcp.server.logs import LogSettings
from moa_mcp.server.probes import Probes
from moa_mcp.server.reloading import Reloading
from moa_mcp.server.request_cap import RequestCap

if TYPE_CHECKING:
    from moa_mcp.server.monitoring import Monitoring
    from moa_mcp.server.site import Site

_SHUTDOWN_S = 3
DRAIN_S = 5.0
"""Default seconds that runs may go on after SIGTERM. With the time to shut down, it fits the 10 s of `docker stop`."""
MAX_REQUESTS = 2000
"""Default number of requests that are answered at once. A call that waits for its run is one."""
_FAREWELL_S = 1.0
_LOG = LogSettings()
_OPEN = ServerAccess()
_CHECKED_BEFORE = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""Host and Origin are checked before requests reach the SDK, whose answers do not say what to do."""


def serve_stdio(
    config: Config,
    *,
    journal: Journal | None = None,
    submits: bool = False,
    offline: bool = False,
    log: LogSettings = _LOG,
    reloading: Reloading | None = None,
    monitoring: Monitoring | None = None,
) -> None:
    """Serve one client over stdin and stdout, until it closes them."""
    log.start()
    try:
        app = App(config, offline=offline, journal=journal, submits=submits, reloading=reloading, monitoring=monitoring)
        anyio.run(_stdio, app)
    except* BrokenPipeError:  # the client has closed its end
        os._exit(0)  # the thread that reads would wait for stdin to close


def serve_http(
    config: Config,
    *,
    host: str,
    port: int,
    access: ServerAccess = _OPEN,
    journal: Journal | None = None,
    submits: bool = False,
    offline: bool = False,
    log: LogSettings = _LOG,
    drain_s: float = DRAIN_S,
    max_requests: int = MAX_REQUESTS,
    reloading: Reloading | None = None,
    monitoring: Monitoring | None = None,
    openai: bool = True,
) -> None:
    """Serve streamable HTTP at /mcp, and OpenAI's API at /v1. Raises `CannotServe`."""
    from moa_mcp.server.site import Site  # noqa: PLC0415  stdio needs no guards

    log.start()
    site = Site(host, port, access, "/mcp", rates=rates_of(journal))
    app = App(
        config,
        offline=offline,
        journal=journal,
        submits=submits,
        caller_of=site.caller_of,
        audit=site.audit,
        over_http=True,
        reloading=reloading,
        monitoring=monitoring,
    )
    streamable = app.server.streamable_http_app(
        transport_security=_CHECKED_BEFORE, custom_starlette_routes=list(site.routes)
    )
    cap = RequestCap(streamable, max_requests)
    _serve(app, cap, site, log, drain_s, openai=openai)


def serve_sse(
    config: Config,
    *,
    host: str,
    port: int,
    access: ServerAccess = _OPEN,
    journal: Journal | None = None,
    submits: bool = False,
    offline: bool = False,
    log: LogSettings = _LOG,
    drain_s: float = DRAIN_S,
    max_requests: int = MAX_REQUESTS,
    reloading: Reloading | None = None,
    monitoring: Monitoring | None = None,
    openai: bool = True,
) -> None:
    """Serve HTTP with SSE at /sse, for clients older than 2025-03-26, and OpenAI's API. Raises `CannotServe`."""
    from moa_mcp.server.site import Site  # noqa: PLC0415  stdio needs no guards

    log.start()
    site = Site(host, port, access, "/sse", rates=rates_of(journal))
    app = App(
        config,
        offline=offline,
        journal=journal,
        submits=submits,
        caller_of=site.caller_of,
        audit=site.audit,
        over_http=True,
        reloading=reloading,
        monitoring=monitoring,
    )
    cap = RequestCap(_sse_app(app, site), max_requests)
    _serve(app, cap, site, log, drain_s, openai=openai)


async def _stdio(app: App) -> None:
    await app.prepare()
    stdin = _claimed_stdin()
    nothing = anyio.wrap_file(io.StringIO())  # instead of stdin: the SDK drops messages that it can't read
    async with stdio_server(stdin=nothing) as (unread, write), anyio.create_task_group() as tasks:
        sys.stdout = sys.stderr  # output of libraries must not reach the protocol, even at exit
        await unread.aclose()
        send, read = anyio.create_memory_object_stream[SessionMessage | Exception]()
        tasks.start_soon(receive, stdin, send, write.send)
        if sys.platform != "win32":
            tasks.start_soon(_leave_on_signal, app.runs)
        await app.server.run(read, write, app.server.create_initialization_options())
        tasks.cancel_scope.cancel()


def _claimed_stdin() -> BinaryIO:
    """Return stdin, and close it to the rest of this process and to child processes."""
    claimed = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return os.fdopen(claimed, "rb", closefd=False)  # a thread may still read it when the server ends


async def _leave_on_signal(runs: Runs) -> None:
    """Stop the runs and exit on a signal. The thread that reads stdin would prevent a normal exit."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            runs.stop_all()
            with anyio.move_on_after(_FAREWELL_S):
                await runs.idle()
            await runs.flush()
            os._exit(128 + number)


def _sse_app(app: App, site: Site) -> Starlette:
    transport = SseServerTransport("/messages/", security_settings=_CHECKED_BEFORE)

    async def connect(request: Request) -> Response:
        options = app.server.create_initialization_options()
        # Starlette offers the sender only under this name.
        streams = transport.connect_sse(request.scope, request.receive, request._send)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        async with streams as (read, write):
            await serve_dual_era_loop(app.server, read, write, lifespan_state=None, init_options=options)
        return Response()

    @asynccontextmanager
    async def lifespan(starlette: Starlette) -> AsyncGenerator[None]:
        # Once for all connections; the SDK's loop would enter it for each one.
        del starlette
        async with app.lifespan(app.server):
            yield

    routes = [
        Route("/sse", connect),
        Mount("/messages/", transport.handle_post_message),
        *site.routes,
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _serve(app: App, cap: RequestCap, site: Site, log: LogSettings, drain_s: float, *, openai: bool) -> None:
    from moa_mcp.server.connections import (  # noqa: PLC0415  it loads uvicorn's protocols, which stdio does not need
        IDLE_S,
        accepted_at_once,
        limited,
        most_connections,
    )

    most = most_connections()
    checked: ASGIApp = Bodies(cap)
    if openai:
        checked = app.with_openai(checked, cap)
    config = uvicorn.Config(
        Probes(site.guarded(checked), app.health),
        http=limited(most),
        ws="none",
        loop="asyncio",
        backlog=accepted_at_once(most),
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        lifespan="on",
        log_config=None,
        log_level=logging.ERROR,  # otherwise it logs every invalid request
        access_log=False,
    )
    more = f" and OpenAI's API at {site.origin}/v1" if openai else ""
    log.announce(f"moa-mcp serves MCP at {site.address}{more}")
    _Uvicorn(config, app, drain_s).run(sockets=[site.listener])


class _Uvicorn(uvicorn.Server):
    """Logs little about errors of clients. On SIGTERM, it lets runs end before it stops them.

    At shutdown, it ends open listen streams and the runs that are left.
    """

    def __init__(self, config: uvicorn.Config, app: App, drain_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        from moa_mcp.server.connections import WAITING, Faults  # noqa: PLC0415  as above

        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(Faults())
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(WAITING)  # asyncio has a single number for waiting and for accepting at once

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first SIGTERM; end on any other signal."""
        if sig != signal.SIGTERM or self._loop is None or self._app.runs.draining:
            super().handle_exit(sig, frame)
            return
        self._app.runs.drain()
        self._loop.call_soon_threadsafe(self._begin_to_drain)

    def _begin_to_drain(self) -> None:
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        with anyio.move_on_after(self._drain_s):
            await self._app.runs.idle()
        super().handle_exit(signal.SIGTERM, None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._draining is not None:
            self._draining.cancel()  # a second signal ends it
        self._app.listening.close()
        self._app.runs.stop_all()
        await super().shutdown(sockets)
