"""Reads JSON-RPC messages, one per line on stdio, and answers invalid ones.

The SDK drops messages that it can't read, so the client would wait forever. This module knows no methods.
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
"""Maximum size of a line."""
_CHUNK = 2**20
_EDGE = 1024
"""Bytes at both ends of a line that are searched for the id of an unreadable message."""
_MARK = b"\xef\xbb\xbf"
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_NAMES = frozenset({"cursor", "method", "name", "pipeline", "run_id", "taskId", "uri"})
"""Keys whose values are names. Errors quote names, so lone surrogates in them are escaped, not replaced."""
_FLOAT_ID = re.compile(rb'"id"\s*:\s*-?[0-9]+[.eE]')
_ID = rb'"id"\s*:\s*(?P<id>-?[0-9]{1,19}|"[^"\\]{1,200}")\s*'
_FIRST = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?(?:"method"\s*:\s*"[^"\\]*"\s*,\s*)?'
    + _ID
    + rb',\s*"(?:method|params|j)'
)
_LAST = re.compile(rb"[,{]\s*" + _ID + rb"\}\s*$")


class RefusedFrame(NamedTuple):
    """The answers to an invalid message; there may be none."""

    answers: tuple[types.JSONRPCError, ...] = ()


class Unreadable(ValueError):
    """Invalid JSON; the text says why."""


async def receive(
    lines: BinaryIO,
    messages: ObjectSendStream[SessionMessage | Exception],
    answer: Callable[[SessionMessage], Awaitable[None]],
) -> None:
    """Send on the messages in `lines`, one per line, until the end; answer invalid ones."""
    async with messages:
        try:
            while (frame := await anyio.to_thread.run_sync(_next, lines, abandon_on_cancel=True)) is not None:
                if isinstance(frame, RefusedFrame):
                    for refusal in frame.answers:
                        await answer(SessionMessage(refusal))
                else:
                    await messages.send(SessionMessage(frame))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the other side has stopped serving


def read(written: bytes) -> types.JSONRPCMessage | RefusedFrame:
    """Return a message, or the answers to an invalid one."""
    try:
        found = decoded(written)
    except Unreadable as error:
        return _refusal(_readable_id(written), types.PARSE_ERROR, f"Parse error: {error}")
    if isinstance(found, list):
        return _batch(found)
    return _message(found) if isinstance(found, dict) else _refusal(None, types.INVALID_REQUEST, _NO_MESSAGE)


def decoded(written: bytes) -> JsonValue:
    """Return the value of JSON text, with surrogates joined or replaced. Raises `Unreadable`."""
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
    """Return a message in a form that every parser reads alike: unchanged, if possible."""
    if written.startswith(_MARK) or _HALF.search(written) or _FLOAT_ID.search(written):
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    return written


def invalid(text: str) -> types.JSONRPCError:
    """Return the error for an invalid message without an id."""
    return _error(None, types.INVALID_REQUEST, text)


def _next(lines: BinaryIO) -> types.JSONRPCMessage | RefusedFrame | None:
    """Return the message of the next line; None at the end."""
    try:
        line = lines.readline(MAX_BYTES)
    except OSError:  # such as a closed terminal
        line = b""
    if not line:
        return None
    if not line.strip():
        return RefusedFrame()
    if len(line) < MAX_BYTES or line.endswith(b"\n"):
        return read(line)
    end = line[-_EDGE:]
    while not end.endswith(b"\n") and (more := lines.readline(_CHUNK)):
        end = (end + more)[-_EDGE:]
    text = f"Invalid request: message too large, the limit is {MAX_BYTES} bytes"
    return _refusal(_readable_id(line[:_EDGE] + end), types.INVALID_REQUEST, text)


_NO_MESSAGE = "Invalid request: a message must be one JSON-RPC 2.0 object"


def _message(found: dict[str, JsonValue]) -> types.JSONRPCMessage | RefusedFrame:
    if "method" not in found and ("result" in found or "error" in found):
        return _response(found)
    if "id" not in found and found.get("jsonrpc") == "2.0" and isinstance(found.get("method"), str):
        try:
            return types.JSONRPCNotification.model_validate(found)
        except ValidationError:
            return RefusedFrame()  # notifications are never answered
    return _request(found)


def _request(found: dict[str, JsonValue]) -> types.JSONRPCMessage | RefusedFrame:
    identifier = _identifier(found.get("id"))
    if identifier is None:
        text = _NO_MESSAGE if "id" not in found else "Invalid request: id must be a string or an integer"
        return _refusal(None, types.INVALID_REQUEST, text)
    if found.get("jsonrpc") != "2.0" or not isinstance(found.get("method"), str):
        text = 'Invalid request: jsonrpc must be "2.0" and method must be a string'
        return _refusal(identifier, types.INVALID_REQUEST, text)
    if not isinstance(found.get("params"), dict | None):
        return _refusal(identifier, types.INVALID_PARAMS, "Invalid params: params must be an object")
    return types.JSONRPCRequest.model_validate({**found, "id": identifier})


def _response(found: dict[str, JsonValue]) -> types.JSONRPCMessage | RefusedFrame:
    """Return a client's response; an invalid one becomes an error for the request that waits for it."""
    kind = types.JSONRPCError if "error" in found else types.JSONRPCResponse
    try:
        return kind.model_validate(found)
    except ValidationError:
        identifier = _identifier(found.get("id"))
        return RefusedFrame() if identifier is None else _error(identifier, types.INVALID_REQUEST, "Invalid response")


def _batch(found: list[JsonValue]) -> RefusedFrame:
    """Return the answers to a batch: an error for each request in it."""
    text = "Invalid request: batches are not supported; send each message separately"
    waiting = (_identifier(each.get("id")) for each in found if isinstance(each, dict) and "method" in each)
    answers = tuple(_error(each, types.INVALID_REQUEST, text) for each in waiting if each is not None)
    return RefusedFrame(answers) if answers else _refusal(None, types.INVALID_REQUEST, text)


def _identifier(given: object) -> types.RequestId | None:
    """Return an id; None if it is invalid. A whole number may have a decimal point."""
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, str | int) and not isinstance(given, bool) else None


def _readable_id(written: bytes) -> types.RequestId | None:
    """Return the id of an unreadable request, if it is at the beginning or the end, where clients write it."""
    if b'"method"' not in written[:_EDGE] + written[-_EDGE:]:
        return None
    found = _FIRST.match(written.removeprefix(_MARK), 0, _EDGE) or _LAST.search(written[-_EDGE:])
    try:
        return None if found is None else _identifier(json.loads(found["id"]))
    except ValueError:
        return None


def _refusal(identifier: types.RequestId | None, code: int, text: str) -> RefusedFrame:
    return RefusedFrame((_error(identifier, code, text),))


def _error(identifier: types.RequestId | None, code: int, text: str) -> types.JSONRPCError:
    return types.JSONRPCError(jsonrpc="2.0", id=identifier, error=types.ErrorData(code=code, message=text))


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
