"""What came back over the OpenAI wire: whole, streamed or refused, from its bytes to a completion or an error."""

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
"""How long the usage and the end are waited for once a stream has said why the answer ended: it is there, and paid."""
_LAST_BYTES_S = 0.1
_MOST_OF_ERROR = 2**18
"""Bytes of an error's body that are read."""


async def answered(call: Call, target: Target, response: aiohttp.ClientResponse) -> Completion:
    """Return the answers of a reply, whole or streamed, told as they come where that is wanted. Raises `CallError`.

    How a reply is framed is seen from its bytes: servers stream unasked, or do not stream, and name it as they like.
    """
    import aiohttp  # noqa: PLC0415  late, as the transport says

    first = await response.content.readany()
    if (
        response.content.at_eof()
        and call.on_text is None
        and (usual := plain.completion(call, target, first)) is not None
    ):
        return usual
    arriving = _Arriving(call, target, response.charset or "utf-8")
    try:
        await arriving.read(response, first)
    except TooLong as error:
        raise arriving.collecting.billed(completions.unclear(f"{target.model} {error}")) from error
    except Garbled as error:
        if not arriving.collecting.reply.ended:
            garbled = unreadable.text(target, error.words) or completions.garbled(target)
            raise arriving.collecting.billed(garbled) from error
    except (aiohttp.ClientError, OSError):  # the line broke; what came may be whole all the same
        arriving.break_off()
        if not arriving.collecting.reply.ended:
            raise
    return arriving.completion()


class _Arriving:
    """A reply that is being read."""

    def __init__(self, call: Call, target: Target, encoding: str) -> None:
        self.collecting = Collecting(call, target)
        self._target = target
        self._frames = Frames(encoding)
        self._over = False
        """Whether nothing more is to be read."""
        self._other: Json = {}
        """The last part in which no answer was found."""

    async def read(self, response: aiohttp.ClientResponse, piece: bytes) -> None:
        """Read the reply from its first piece to its end, or to where it is cut.

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
        with anyio.move_on_after(_LAST_BYTES_S):  # read to its end, the connection can be used again
            while not response.content.at_eof():
                await response.content.readany()

    def break_off(self) -> None:
        """Take what is complete of a reply whose line broke. Raises `CallError`."""
        if self._frames.documents:
            with suppress(Garbled):
                self._take(self._frames.end())

    def completion(self) -> Completion:
        """Return what came of the reply. Raises `CallError`."""
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
            elif isinstance(part, list):  # as Google's servers frame a stream, and its errors
                self._take(part)  # pyright: ignore[reportUnknownArgumentType]
            else:
                self._take_object(as_object(part))
                self._other = self._other or _worded(part)
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
        """Return the error for a reply of status 200 that says what went wrong, perhaps after it had begun."""
        error = refusals.refused(self._target, None, fault)
        if self.collecting.reply.begun:
            error = ServerFailed(str(error)) if isinstance(error, RequestRefused) else error
            error.paid = None
        return error


def _worded(part: object) -> Json:
    """Return what a bare text says, as some servers tell an error."""
    return {"message": part} if isinstance(part, str) and part.strip() else {}


async def refused(target: Target, response: aiohttp.ClientResponse) -> CallError:
    """Return the error for a reply whose status is not 200."""
    raw = await _beginning(response, _MOST_OF_ERROR)
    moved = response.headers.get("location")
    if moved is not None and response.status < 400:  # noqa: PLR2004
        return ModelNotFound(f"{target.model}: {target.api_base} has moved to {refusals.said(moved, target.api_key)}")
    return refusals.refused(target, response.status, _fault(raw, response.charset or "utf-8"), response.headers)


def _fault(raw: bytes, encoding: str) -> Fault:
    """Return what the body of an error says, be it JSON, in events or not, markup or plain text."""
    with suppress(Garbled):
        faults = [fault for part in _whole(raw, encoding) if (fault := bodies.fault(part)).told]
        if faults:
            return faults[0]
    return bodies.fault_in(raw.decode(encoding, "replace"))


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
