"""Reads the reply of an OpenAI-compatible API, complete, streamed or rejected, into a completion or an error."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from moa_mcp.errors import CallError, ModelNotFound, RequestRefused, ServerFailed
from moa_mcp.providers.failures import bodies, refusals, unreadable
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.openai import plain
from moa_mcp.providers.openai.framing import DONE, Frames, Garbled
from moa_mcp.providers.replies import completions, forms
from moa_mcp.providers.replies.collector import Collecting
from moa_mcp.providers.replies.json_values import Json, as_object
from moa_mcp.providers.replies.limits import TooLong
from moa_mcp.values import Call, Completion, Target

if TYPE_CHECKING:
    import aiohttp

_TRAILER_S = 2.0
"""Seconds to wait for the usage and the end of a stream after its finish reason: they are sent, and paid for."""
_LAST_BYTES_S = 0.1
_MOST_OF_ERROR = 2**18
"""Maximum bytes read of an error's body."""


async def answered(call: Call, target: Target, response: aiohttp.ClientResponse) -> Completion:
    """Return the completion of a reply, complete or streamed; emit text as it arrives. Raises `CallError`.

    The framing is detected from the bytes: some servers ignore `stream` or send a wrong content type.
    """
    first = await response.content.readany()
    if (
        response.content.at_eof()
        and call.on_text is None
        and (usual := plain.completion(call, target, first)) is not None
    ):
        return usual
    import aiohttp  # noqa: PLC0415  lazy, see `client`

    arriving = _Arriving(call, target, response.charset or "utf-8")
    try:
        await arriving.read(response, first)
    except TooLong as error:
        raise arriving.collecting.billed(completions.unclear(f"{target.model} {error}")) from error
    except Garbled as error:
        if not arriving.collecting.reply.ended:
            garbled = unreadable.text(target, error.words) or completions.garbled(target)
            raise arriving.collecting.billed(garbled) from error
    except (aiohttp.ClientError, OSError):  # the connection was interrupted; the reply may be complete anyway
        arriving.break_off()
        if not arriving.collecting.reply.ended:
            raise
    return arriving.completion()


class _Arriving:
    """A reply while it is read."""

    def __init__(self, call: Call, target: Target, encoding: str) -> None:
        self.collecting = Collecting(call, target)
        self._target = target
        self._frames = Frames(encoding)
        self._over = False
        """Whether to stop reading."""
        self._other: Json = {}
        """The last part without an answer."""

    async def read(self, response: aiohttp.ClientResponse, piece: bytes) -> None:
        """Read the reply from its first piece to its end, or to the limit of its length.

        Raises `CallError`, `Garbled` and `TooLong`.
        """
        while piece:
            self._take_bytes(piece)
            if self._over or (self.collecting.reply.ended and not self._frames.documents):
                break
            piece = await response.content.readany()
        else:
            self._take(self._frames.end())
            return
        with anyio.move_on_after(_TRAILER_S):
            while not (self._over or response.content.at_eof()):
                self._take_bytes(await response.content.readany())
        if self.collecting.cut:
            response.close()
            return
        with anyio.move_on_after(_LAST_BYTES_S):  # a connection can be reused once its reply is read to the end
            while not response.content.at_eof():
                await response.content.readany()

    def break_off(self) -> None:
        """Use the complete parts of a reply whose connection was interrupted. Raises `CallError`."""
        if self._frames.documents:
            with suppress(Garbled):
                self._take(self._frames.end())

    def completion(self) -> Completion:
        """Return the completion. Raises `CallError`."""
        reply = self.collecting.reply
        if reply.answers and not (reply.ended or self._frames.documents):
            raise refusals.unreached(self._target, connected=True)
        if not reply.answers and (error := unreadable.document(self._target, self._other)):
            raise self.collecting.billed(error)
        return self.collecting.completion()

    def _take_bytes(self, piece: bytes) -> None:
        self.collecting.limits.count(len(piece))
        self._take(self._frames.take(piece))

    def _take(self, parts: Iterable[object]) -> None:
        for part in parts:
            if part == DONE:
                self.collecting.reply.ended = self._over = True
            elif isinstance(part, list):  # Google's servers send a stream, or its errors, as a list
                self._take(part)  # pyright: ignore[reportUnknownArgumentType]
            elif isinstance(part, str):  # some servers report an error as a bare string
                self._other = {"message": part} if part.strip() else {}
            else:
                self._take_object(as_object(part))
            if self._over:
                break

    def _take_object(self, body: Json) -> None:
        if not body.get("choices"):
            body = self._other = forms.as_chat(body)
        fault = bodies.broken(body)
        self.collecting.take(body)
        if fault is not None:
            raise self.collecting.billed(self._refusal(fault))
        self._over = bool(self.collecting.cut)

    def _refusal(self, fault: Fault) -> CallError:
        """Return the error that a reply of status 200 reports, perhaps after the answer began."""
        error = refusals.refused(self._target, None, fault)
        if self.collecting.reply.begun:
            error = ServerFailed(str(error)) if isinstance(error, RequestRefused) else error
            error.paid = None
        return error


async def refused(target: Target, response: aiohttp.ClientResponse) -> CallError:
    """Return the error for a reply whose status is not 200."""
    raw = await _beginning(response, _MOST_OF_ERROR)
    moved = response.headers.get("location")
    if moved is not None and response.status < 400:  # noqa: PLR2004
        location = refusals.shown(moved, target.api_key)
        return ModelNotFound(f"{target.model}: {target.api_base} redirects to {location}; update its api_base")
    return refusals.refused(target, response.status, _fault(raw, response.charset or "utf-8"), response.headers)


def _fault(raw: bytes, encoding: str) -> Fault:
    """Return the error that a body reports: JSON, events, markup or plain text."""
    with suppress(Garbled):
        faults = [fault for part in _whole(raw, encoding) if (fault := bodies.fault(part)).message]
        if faults:
            return faults[0]
    return bodies.fault_in(raw.decode(encoding, "replace"))


async def _beginning(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return at most `most` bytes of a body."""
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
