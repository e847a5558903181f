"""Serves the pages on 127.0.0.1 until the process is stopped."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable
from typing import TypeAlias

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from moa_mcp.errors import MoaError, RunNotFound
from moa_mcp.images.content import content_of
from moa_mcp.journal import Journal
from moa_mcp.viewer.data import Json
from moa_mcp.viewer.page import LOCAL_LIST, LOCAL_RUN, local_page
from moa_mcp.viewing.followed import FollowedRuns
from moa_mcp.viewing.guard import Access, Guarded, refused, without_key
from moa_mcp.viewing.listing import Filter, Listing

_HOST = "127.0.0.1"
_SHUTDOWN_S = 1
_DIGITS = 15
_REPORT = "evaluation"
"""The path of a report."""

Report: TypeAlias = Callable[[str], tuple[str, str]]
"""Returns the HTML of a report and its policy, given the key that its page keeps; empty if the browser has it."""


class CannotView(MoaError):
    """The pages can't be served at this port."""


class Viewing:
    """The pages of the runs of a journal, at an address of this machine."""

    def __init__(self, journal: Journal, place: str, port: int = 0, report: Report | None = None) -> None:
        """Listen at a port, or at a free one for 0. `place` names the journal to people. Raises `CannotView`.

        With a report, the addresses without a run are those of the report.
        """
        self._access = Access()
        self._start = "" if report is None else _REPORT
        self._pages = _Pages(journal, place, self._access, report)
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]

    def address(self, run_id: str | None = None) -> str:
        """Return the address of a run, or of the list or report, with its key."""
        return self._address(run_id, f"key={self._access.key}")

    def address_once(self, run_id: str | None = None) -> str:
        """Return an address that opens once."""
        return self._address(run_id, f"open={self._access.ticket()}")

    def _address(self, run_id: str | None, query: str) -> str:
        return f"http://{_HOST}:{self.port}/{f'runs/{run_id}' if run_id else self._start}?{query}"

    def serve(self) -> None:
        """Serve until a signal stops the process."""
        config = uvicorn.Config(
            Guarded(self._pages.routes(f"moa-mcp-view-{self.port}")),
            ws="none",
            loop="asyncio",
            lifespan="off",
            timeout_graceful_shutdown=_SHUTDOWN_S,
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            server_header=False,
        )
        uvicorn.Server(config).run(sockets=[self._listener])

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


class _Pages:
    def __init__(self, journal: Journal, place: str, access: Access, report: Report | None) -> None:
        self._place = place
        self._report = report
        self._access = access
        self._followed = FollowedRuns(journal)
        self._listing = Listing(journal, self._followed)
        self._cookie = ""

    def routes(self, cookie: str) -> Starlette:
        self._cookie = cookie
        routes = [
            Route("/", self._page, methods=["GET"]),
            *([] if self._report is None else [Route(f"/{_REPORT}", self._page, methods=["GET"])]),
            Route("/runs/{run_id}", self._page, methods=["GET"]),
            Route("/data/runs", self._list, methods=["GET"]),
            Route("/data/runs/{run_id}", self._run, methods=["GET"]),
            Route("/data/runs/{run_id}/images/{number:int}", self._image, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={404: _absent, MoaError: _failed})

    async def _page(self, request: Request) -> Response:
        opened_with = self._access.opens(request, self._cookie)
        if opened_with is None:
            return without_key()
        key = self._access.key if opened_with == "key" else ""
        if self._report is not None and request.url.path == f"/{_REPORT}":
            html, policy = await anyio.to_thread.run_sync(self._report, key)
        else:
            html, policy = local_page(LOCAL_RUN if "run_id" in request.path_params else LOCAL_LIST, key)
        response = HTMLResponse(html, headers={"content-security-policy": policy})
        response.set_cookie(self._cookie, self._access.cookie, path="/", httponly=True, samesite="strict")
        return response

    async def _list(self, request: Request) -> Response:
        if not self._access.reads(request):
            return without_key()
        query = request.query_params
        chosen = Filter(
            query.get("status", ""), query.get("pipeline", ""), query.get("text", ""), _number(query.get("page"))
        )
        return _json({**await self._listing.page(chosen), "place": self._place})

    async def _run(self, request: Request) -> Response:
        if not self._access.reads(request):
            return without_key()
        mark = _number(request.query_params.get("mark"))
        return _json(await self._followed.news(request.path_params["run_id"], mark))

    async def _image(self, request: Request) -> Response:
        if not self._access.reads(request):
            return without_key()
        question = (await self._followed.trace(request.path_params["run_id"])).question
        found = dict(enumerate(question.images, 1)).get(request.path_params["number"])
        content = None if found is None else content_of(found)
        if content is None:
            return refused("There is no such image.", 404)
        return Response(content.data, media_type=content.media_type)


def _json(data: dict[str, Json]) -> Response:
    text = json.dumps(data, separators=(",", ":"))  # in ASCII, since texts may have lone surrogates
    return Response(text, media_type="application/json")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) <= _DIGITS else 0


async def _absent(request: Request, error: Exception) -> Response:
    del request, error
    return refused("There is no such page.", 404)


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, RunNotFound):
        return refused(f"There is no run {request.path_params['run_id']!r} in the journal, or it was deleted.", 404)
    return refused(str(error), 500)


def _listen(port: int) -> socket.socket:
    try:
        listener = socket.create_server((_HOST, port), reuse_port=False)
    except OSError as error:
        raise CannotView(f"can't listen on {_HOST} port {port}: {os.strerror(error.errno or 0)}") from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else answers wait 40 ms for an acknowledgement
    listener.setblocking(False)  # noqa: FBT003  signature of socket
    return listener
