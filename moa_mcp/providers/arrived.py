"""What came back over the OpenAI wire: whole, streamed or refused, from its bytes to a completion or an error."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from math import inf
from typing import TYPE_CHECKING

import anyio

from moa_mcp.errors import CallError, ModelNotFound
from moa_mcp.providers import payloads, refusals, replies
from moa_mcp.providers.payloads import Json
from moa_mcp.values import Call, Completion, Target

if TYPE_CHECKING:
    import aiohttp

_TRAILER_S = 2.0
"""How long the usage and the end are waited for once a stream has said why the answer ended: it is there, and paid."""
_LAST_BYTES_S = 0.1


def whole(call: Call, target: Target, raw: bytes) -> Completion:
    """Return the answers of a reply. Raises `CallError`."""
    body = _read(target, raw)
    if (error := _broken(target, body)) or not body.get("choices"):
        raise _billed(error or replies.unanswered(target), target, body)
    completion = replies.completed(
        target, payloads.choices(body), payloads.usage(body), payloads.cost_usd(target, body), most=call.samples
    )
    if call.on_text is not None:  # a server that does not stream
        call.on_text(completion.text)
    return completion


async def streamed(call: Call, target: Target, response: aiohttp.ClientResponse) -> Completion:
    """Return the answer of a stream, whose text is told as it comes. Raises `CallError`."""
    stream = payloads.Stream()
    with anyio.CancelScope() as trailing:
        async with aclosing(_events(response)) as events:
            async for event in events:
                if event == b"[DONE]":
                    stream.ended = True
                    break
                piece = _taken(target, stream, event)
                if piece and call.on_text is not None:
                    call.on_text(piece)
                if stream.ended and trailing.deadline == inf:
                    trailing.deadline = anyio.current_time() + _TRAILER_S
    if not trailing.cancelled_caught:
        with anyio.move_on_after(_LAST_BYTES_S):  # read to its end, the connection can be used again
            await response.read()
    if not stream.ended:
        raise refusals.unreached(target, connected=True)
    bill = payloads.usage(stream.billed), payloads.cost_usd(target, stream.billed)
    return replies.completed(target, stream.choices(), *bill, most=call.samples)


async def refused(target: Target, response: aiohttp.ClientResponse) -> CallError:
    """Return the error for a reply whose status is not 200."""
    raw = await response.read()
    moved = response.headers.get("location")
    if moved is not None and response.status < 400:  # noqa: PLR2004
        return ModelNotFound(f"{target.model}: {target.api_base} has moved to {refusals.said(moved, target.api_key)}")
    try:
        fault = payloads.fault(_read(target, raw))
    except CallError:
        fault = payloads.Fault(raw.decode("utf-8", "replace"))
    return refusals.refused(
        target, response.status, fault.told, code=fault.code, retry_after=refusals.retry_after(response.headers)
    )


def _taken(target: Target, stream: payloads.Stream, event: bytes) -> str:
    """Take a part of a stream and return what it adds to the text. Raises `CallError`."""
    chunk = _read(target, event)
    piece = stream.take(chunk)
    if error := _broken(target, chunk):
        if stream.begun:
            error.paid = None
        raise _billed(error, target, stream.billed)
    return piece


def _broken(target: Target, body: Json) -> CallError | None:
    """Return the error that a reply of status 200 holds: some providers refuse that way, or break off."""
    fault = payloads.broken(body)
    return fault and refusals.refused(target, fault.status, fault.told, code=fault.code)


def _billed(error: CallError, target: Target, body: Json) -> CallError:
    """Return the error with what the provider billed all the same."""
    if usage := payloads.usage(body):
        error.paid, error.usage = True, usage
        error.cost_usd = replies.cost_of(target, usage, payloads.cost_usd(target, body))
    return error


def _read(target: Target, raw: bytes) -> Json:
    import orjson  # noqa: PLC0415  late, as the transport says

    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        parsed = _read_laxly(target, raw)
    if not isinstance(parsed, dict):
        raise replies.unanswered(target)
    return parsed  # pyright: ignore[reportUnknownVariableType]


def _read_laxly(target: Target, raw: bytes) -> object:
    """Read what orjson does not: halves of surrogate pairs, a byte order mark, other encodings of Unicode."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise replies.garbled(target) from error


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield the data of every server-sent event that has any: providers write each on one line."""
    rest = b""
    async for piece in response.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:") and (data := line[5:].strip()):
                yield data
    if rest.startswith(b"data:") and (data := rest[5:].strip()):
        yield data
