"""JSON-RPC messages as a client writes them, one a line on stdio: what each says, and the answer to what says nothing.

The SDK drops what it can't read without an answer, for which its client then waits for ever. No method is known here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable
from typing import BinaryIO, NamedTuple, NoReturn

import anyio
import mcp_types as types
from anyio.abc import ObjectSendStream
from mcp.shared.message import SessionMessage
from pydantic import JsonValue, ValidationError

from moa_mcp.text.surrogates import escaped, mended

MAX_BYTES = 32 * 2**20
"""What a line may hold."""
_CHUNK = 2**20
_EDGE = 1024
"""Bytes at either end of a line in which its id is looked for, if the whole can't be read."""
_MARK = b"\xef\xbb\xbf"
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_NAMES = frozenset({"cursor", "method", "name", "pipeline", "run_id", "taskId", "uri"})
"""Keys whose values name something. An error quotes a name, so half a character in one is escaped, not replaced."""
_FLOAT_ID = re.compile(rb'"id"\s*:\s*-?[0-9]+[.eE]')
_ID = rb'"id"\s*:\s*(?P<id>-?[0-9]{1,19}|"[^"\\]{1,200}")\s*'
_FIRST = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?(?:"method"\s*:\s*"[^"\\]*"\s*,\s*)?'
    + _ID
    + rb',\s*"(?:method|params|j)'
)
_LAST = re.compile(rb"[,{]\s*" + _ID + rb"\}\s*$")


class RefusedFrame(NamedTuple):
    """What a client wrote is no message: what to answer, which may be nothing."""

    answers: tuple[types.JSONRPCError, ...] = ()


class Unreadable(ValueError):
    """It is no JSON; the text says why."""


async def receive(
    wire: BinaryIO,
    messages: ObjectSendStream[SessionMessage | Exception],
    answer: Callable[[SessionMessage], Awaitable[None]],
) -> None:
    """Hand on the messages that are written to `wire`, a line each, until it ends; answer what can't be read."""
    async with messages:
        try:
            while (frame := await anyio.to_thread.run_sync(_next, wire, abandon_on_cancel=True)) is not None:
                if isinstance(frame, RefusedFrame):
                    for refusal in frame.answers:
                        await answer(SessionMessage(refusal))
                else:
                    await messages.send(SessionMessage(frame))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the other side has stopped serving


def read(written: bytes) -> types.JSONRPCMessage | RefusedFrame:
    """Return the message that was written, or what to answer in its place."""
    try:
        found = decoded(written)
    except Unreadable as error:
        return _refusal(_readable_id(written), types.PARSE_ERROR, f"Parse error: {error}")
    if isinstance(found, list):
        return _batch(found)
    return _message(found) if isinstance(found, dict) else _refusal(None, types.INVALID_REQUEST, _NO_MESSAGE)


def decoded(written: bytes) -> JsonValue:
    """Return what JSON says, with the halves of characters mended. Raises `Unreadable`."""
    try:
        text = written.removeprefix(_MARK).decode("utf-8", "surrogatepass")
        found: JsonValue = json.loads(text, parse_constant=_refuse, parse_float=_number)
        return _mended(found) if _HALF.search(written) else found
    except Unreadable:
        raise
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"{error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise Unreadable("nested too deeply") from error
    except ValueError as error:
        raise Unreadable("a number has too many digits") from error


def exact(written: bytes, message: types.JSONRPCMessage) -> bytes:
    """Return a message that was read as others read it, too: as it was written, if that is so."""
    if written.startswith(_MARK) or _HALF.search(written) or _FLOAT_ID.search(written):
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    return written


def invalid(told: str) -> types.JSONRPCError:
    """Return what to answer to what is no message and names none."""
    return _error(None, types.INVALID_REQUEST, told)


def _next(wire: BinaryIO) -> types.JSONRPCMessage | RefusedFrame | None:
    """Return what the next line says; None at the end."""
    try:
        line = wire.readline(MAX_BYTES)
    except OSError:  # as of a terminal that was closed
        line = b""
    if not line:
        return None
    if not line.strip():
        return RefusedFrame()
    if len(line) < MAX_BYTES or line.endswith(b"\n"):
        return read(line)
    end = line[-_EDGE:]
    while not end.endswith(b"\n") and (more := wire.readline(_CHUNK)):
        end = (end + more)[-_EDGE:]
    told = f"Invalid request: message too large, the limit is {MAX_BYTES} bytes"
    return _refusal(_readable_id(line[:_EDGE] + end), types.INVALID_REQUEST, told)


_NO_MESSAGE = "Invalid request: a message must be one JSON-RPC 2.0 object"


def _message(found: dict[str, JsonValue]) -> types.JSONRPCMessage | RefusedFrame:
    if "method" not in found and ("result" in found or "error" in found):
        return _response(found)
    if "id" not in found and found.get("jsonrpc") == "2.0" and isinstance(found.get("method"), str):
        try:
            return types.JSONRPCNotification.model_validate(found)
        except ValidationError:
            return RefusedFrame()  # nothing is ever answered to a notification
    return _request(found)


def _request(found: dict[str, JsonValue]) -> types.JSONRPCMessage | RefusedFrame:
    identifier = _identifier(found.get("id"))
    if identifier is None:
        told = _NO_MESSAGE if "id" not in found else "Invalid request: id must be a string or an integer"
        return _refusal(None, types.INVALID_REQUEST, told)
    if found.get("jsonrpc") != "2.0" or not isinstance(found.get("method"), str):
        told = 'Invalid request: jsonrpc must be "2.0" and method must be a string'
        return _refusal(identifier, types.INVALID_REQUEST, told)
    if not isinstance(found.get("params"), dict | None):
        return _refusal(identifier, types.INVALID_PARAMS, "Invalid params: params must be an object")
    return types.JSONRPCRequest.model_validate({**found, "id": identifier})


def _response(found: dict[str, JsonValue]) -> types.JSONRPCMessage | RefusedFrame:
    """Return a client's answer; one that is none is an error to whoever waits for it."""
    kind = types.JSONRPCError if "error" in found else types.JSONRPCResponse
    try:
        return kind.model_validate(found)
    except ValidationError:
        identifier = _identifier(found.get("id"))
        return RefusedFrame() if identifier is None else _error(identifier, types.INVALID_REQUEST, "Invalid response")


def _batch(found: list[JsonValue]) -> RefusedFrame:
    """Return what to answer to an array of messages: none is served, and nobody waits for one of them."""
    told = "Invalid request: batches are not supported; send each message separately"
    waiting = (_identifier(each.get("id")) for each in found if isinstance(each, dict) and "method" in each)
    answers = tuple(_error(each, types.INVALID_REQUEST, told) for each in waiting if each is not None)
    return RefusedFrame(answers) if answers else _refusal(None, types.INVALID_REQUEST, told)


def _identifier(given: object) -> types.RequestId | None:
    """Return an id; None if it can't be one. A whole number may be written with a decimal point."""
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, str | int) and not isinstance(given, bool) else None


def _readable_id(written: bytes) -> types.RequestId | None:
    """Return the id of a request that can't be read, if it stands where clients put it: at one of its ends."""
    if b'"method"' not in written[:_EDGE] + written[-_EDGE:]:
        return None
    found = _FIRST.match(written.removeprefix(_MARK), 0, _EDGE) or _LAST.search(written[-_EDGE:])
    try:
        return None if found is None else _identifier(json.loads(found["id"]))
    except ValueError:
        return None


def _refusal(identifier: types.RequestId | None, code: int, told: str) -> RefusedFrame:
    return RefusedFrame((_error(identifier, code, told),))


def _error(identifier: types.RequestId | None, code: int, told: str) -> types.JSONRPCError:
    return types.JSONRPCError(jsonrpc="2.0", id=identifier, error=types.ErrorData(code=code, message=told))


def _mended(found: JsonValue) -> JsonValue:
    if isinstance(found, str):
        return mended(found)
    if isinstance(found, list):
        return [_mended(each) for each in found]
    if isinstance(found, dict):
        return {escaped(key): _named(value) if key in _NAMES else _mended(value) for key, value in found.items()}
    return found


def _named(value: JsonValue) -> JsonValue:
    return escaped(value) if isinstance(value, str) else _mended(value)


def _refuse(constant: str) -> NoReturn:
    raise Unreadable(f"{constant} is not valid JSON")


def _number(written: str) -> float:
    number = float(written)
    if math.isinf(number):
        raise Unreadable(f"the number {written[:20]} is too large")
    return number
