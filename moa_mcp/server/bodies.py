"""Validates the bodies of HTTP requests before the SDK reads them: passes on valid JSON-RPC, and answers the rest."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from moa_mcp.server import frames
from moa_mcp.server.frames import RefusedFrame, read

MAX_BYTES = 4 * 2**20
"""Maximum size of a body; the SDK has the same limit."""
_CLOSE = {"Connection": "close"}


class Bodies:
    """Passes on POST requests whose body is one message, and answers others.

    The SDK treats a request with an invalid id as a notification and never answers it. It also logs a traceback if a
    client disconnects before its body has arrived.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await whole(receive)
        if body is None:
            return
        if len(body) > MAX_BYTES:
            text = f"Request body too large: the limit is {MAX_BYTES} bytes"
            await Response(text, 413, _CLOSE)(scope, receive, send)
            return
        message = read(body)
        if isinstance(message, RefusedFrame):
            await _refusal(message)(scope, receive, send)
            return
        if (exact := frames.exact(body, message)) is not body:
            scope = {**scope, "headers": _with_length(scope["headers"], len(exact))}
        await self._app(scope, _replayed(exact, receive), send)


async def whole(receive: Receive) -> bytes | None:
    """Return a request's body, or the beginning of one that is too long; None if the client disconnects."""
    body = bytearray()
    while len(body) <= MAX_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)


def _refusal(refused: RefusedFrame) -> Response:
    if len(refused.answers) == 1:
        error = refused.answers[0]
    else:
        error = frames.invalid(refused.answers[0].error.message if refused.answers else "Invalid request")
    return JSONResponse(error.model_dump(by_alias=True, exclude_unset=True), 400)


def _with_length(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name != b"content-length"]
    return [*kept, (b"content-length", b"%d" % length)]


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that yields the body first, and then the events after it."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
