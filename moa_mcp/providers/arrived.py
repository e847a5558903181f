"""What came back over the OpenAI wire: whole, streamed or refused, from its bytes to a completion or an error."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from math import inf
from typing import TYPE_CHECKING, Any

import anyio

from moa_mcp.errors import CallError, ModelNotFound
from moa_mcp.providers import billing, payloads, refusals, replies
from moa_mcp.providers.endless import Bounds, TooLong
from moa_mcp.providers.framing import DONE, Frames, Garbled
from moa_mcp.providers.payloads import Json
from moa_mcp.values import Call, Completion, Target

if TYPE_CHECKING:
    import aiohttp

_TRAILER_S = 2.0
"""How long the usage and the end are waited for once a stream has said why the answer ended: it is there, and paid."""
_LAST_BYTES_S = 0.1
_MOST_OF_ERROR = 2**18
"""Bytes of an error's body that are read."""


async def answered(call: Call, target: Target, response: aiohttp.ClientResponse) -> Completion:
    """Return the answers of a reply, whole or streamed, told as they come where that is wanted. Raises `CallError`.

    How a reply is framed is seen from its bytes: servers stream unasked, or do not stream, and name it as they like.
    """
    import aiohttp  # noqa: PLC0415  late, as the transport says

    reply, frames = payloads.Reply(), Frames(response.charset or "utf-8")
    note = ""
    with anyio.CancelScope() as trailing:
        try:
            note = await _collect(call, target, response, reply, frames, trailing)
        except TooLong as error:
            raise _billed(replies.unclear(f"{target.model} {error}"), target, reply.billed) from error
        except Garbled as error:
            if not reply.ended:
                raise _billed(replies.garbled(target), target, reply.billed) from error
        except (aiohttp.ClientError, OSError):  # the line broke; what came may be whole all the same
            if not reply.ended:
                raise
    if note:
        response.close()
    elif not trailing.cancelled_caught:
        await _read_out(response)
    completion = _completed(call, target, reply, whole=frames.documents)
    return completion.noted(note) if note else completion


async def _collect(
    call: Call,
    target: Target,
    response: aiohttp.ClientResponse,
    reply: payloads.Reply,
    frames: Frames,
    trailing: anyio.CancelScope,
) -> str:
    """Read a reply to its end, or to where it is cut; return what is to be noted of that.

    Raises `CallError`, `Garbled` and `TooLong`.
    """
    bounds = Bounds.of(call)
    async with aclosing(_parts(response, frames, bounds)) as parts:
        async for part in parts:
            if part == DONE:
                reply.ended = True
                break
            _take(call, target, reply, part)
            if note := bounds.exceeded(reply.longest, reply.thought):
                reply.cut()
                return note
            if reply.ended and not frames.documents and trailing.deadline == inf:
                trailing.deadline = anyio.current_time() + _TRAILER_S
    return ""


async def refused(target: Target, response: aiohttp.ClientResponse) -> CallError:
    """Return the error for a reply whose status is not 200."""
    raw = await _beginning(response, _MOST_OF_ERROR)
    moved = response.headers.get("location")
    if moved is not None and response.status < 400:  # noqa: PLR2004
        return ModelNotFound(f"{target.model}: {target.api_base} has moved to {refusals.said(moved, target.api_key)}")
    try:
        fault = payloads.fault(_object(next(iter(_whole(raw, response.charset or "utf-8")), None)))
    except Garbled:
        fault = payloads.Fault(raw.decode("utf-8", "replace"))
    return refusals.refused(
        target, response.status, fault.told, code=fault.code, retry_after=refusals.retry_after(response.headers)
    )


def _completed(call: Call, target: Target, reply: payloads.Reply, *, whole: bool) -> Completion:
    """Return what came of a reply that has ended. Raises `CallError`."""
    if not reply.answers:
        raise _billed(replies.unanswered(target), target, reply.billed)
    if not (reply.ended or whole):
        raise refusals.unreached(target, connected=True)
    told = _usage(reply.billed)
    bill = billing.usage(told), billing.cost_usd(target, told)
    completion = replies.completed(target, reply.choices(), *bill, most=call.samples)
    if call.on_text is not None and (rest := reply.rest(completion.text)):
        call.on_text(rest)
    return completion


def _take(call: Call, target: Target, reply: payloads.Reply, part: object) -> None:
    """Take a part of a reply and tell what it adds to the text. Raises `CallError`."""
    if isinstance(part, list):  # as Google's servers frame a stream, and its errors
        for each in part:  # pyright: ignore[reportUnknownVariableType]
            _take(call, target, reply, each)  # pyright: ignore[reportUnknownArgumentType]
        return
    body = _object(part)
    told = reply.take(body)
    if fault := payloads.broken(body):
        error = refusals.refused(target, fault.status, fault.told, code=fault.code)
        error.paid = None if reply.begun else error.paid
        raise _billed(error, target, reply.billed)
    if told is not None and call.on_text is not None:
        call.on_text(told)


async def _parts(response: aiohttp.ClientResponse, frames: Frames, bounds: Bounds) -> AsyncGenerator[Any]:
    """Yield the objects of a reply. Raises `Garbled` and `TooLong`."""
    import aiohttp  # noqa: PLC0415  late, as the transport says

    try:
        async for piece in response.content.iter_any():
            bounds.count(len(piece))
            for part in frames.take(piece):
                yield part
    except (aiohttp.ClientError, OSError):
        if frames.documents:
            with suppress(Garbled):
                for part in frames.end():
                    yield part
        raise
    for part in frames.end():
        yield part


async def _read_out(response: aiohttp.ClientResponse) -> None:
    """Read what is left, which is next to nothing: then the connection can be used again."""
    import aiohttp  # noqa: PLC0415

    with anyio.move_on_after(_LAST_BYTES_S), suppress(aiohttp.ClientError, OSError):
        while not response.content.at_eof():
            await response.content.readany()


async def _beginning(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the first bytes of a body."""
    raw = b""
    async for piece in response.content.iter_any():
        raw += piece
        if len(raw) >= most:
            response.close()
            break
    return raw[:most]


def _whole(raw: bytes, encoding: str) -> Iterable[object]:
    frames = Frames(encoding)
    return [*frames.take(raw), *frames.end()]


def _billed(error: CallError, target: Target, body: Json) -> CallError:
    """Return the error with what the provider billed all the same."""
    told = _usage(body)
    if usage := billing.credible(billing.usage(told), said=False):
        error.paid, error.usage = True, usage
        error.cost_usd = replies.cost_of(target, usage, billing.cost_usd(target, told))
    return error


def _usage(body: Json) -> Json:
    return _object(body.get("usage"))


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]
