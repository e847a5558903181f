"""Reads the body of an error in all forms that providers, gateways and proxies use. Pure.

It extracts messages and codes; `refusals` maps them to our errors.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, cast

from moa_mcp.providers.failures import markup, retry_after, validation
from moa_mcp.providers.failures.validation import Detail
from moa_mcp.providers.replies.json_values import Json, as_list, as_object

_DEPTH = 6
_MOST_ERRORS = 16
_MOST = 8192
"""Maximum characters read of a text: a body may repeat the whole prompt."""
_HOLDERS = (
    *("error", "errors", "detail", "message", "msg", "base_resp", "fault", "response", "details"),
    *("Fault", "exception", "Error", "Exception"),
)
"""Fields that may hold an error, as an object or a text; the first that is not empty counts."""
_TEXTS = (
    *("message", "msg", "detail", "error_msg", "error_message", "errorMessage", "err_msg", "status_msg"),
    *("error_description", "description", "Message", "faultstring", "title", "reason", "statusText", "error"),
)
_CODES = (
    *(
        "code",
        "type",
        "status",
        "reason",
        "error_code",
        "errorCode",
        "errorcode",
        "err_code",
        "errcode",
        "error_type",
        "Code",
    ),
    *("status_code", "statusCode", "http_code", "httpStatusCode", "quotaId", "__type", "errorType", "error"),
)
_STATUSES = ("code", "status", "status_code", "statusCode", "http_code", "httpStatusCode", "http_status", "error_code")
_WAITS = (
    "retryDelay",
    "retry_delay",
    "retry_after",
    "retryAfter",
    "retry_after_seconds",
    "retry_after_s",
    "Retry-After",
)
_NO_FAULT = {"", "0", "200", "20000", "ok", "success", "succeeded", "none", "normal"}
_FAULTS = ("fault", "Fault", "exception", "Error", "Exception")
"""Fields that only ever hold an error."""
_KEEPING = {"id", "object", "created", "model", "role", "type", "system_fingerprint", "request_id", "service_tier"}
"""Metadata fields, which do not describe the error."""
_IS_REPLY = {"choices", "candidates", "usage", "content", "output", "done", "delta", "object", "usageMetadata"}


class Fault(NamedTuple):
    """An error as a server reports it."""

    message: str
    code: str = ""
    """The first of `codes`."""
    status: int | None = None
    """The HTTP status in the body."""
    param: str = ""
    codes: tuple[str, ...] = ()
    """All machine-readable values: codes, types, statuses, reasons."""
    wait_s: float | None = None
    """Seconds to wait before a retry, if a field says so."""
    details: tuple[Detail, ...] = ()


def fault(body: object) -> Fault:
    """Return the error in a body; if no known field holds a message, all its texts make up the message."""
    found = _fault(body, _DEPTH)
    return found if found.message else found._replace(message="; ".join(_leaves(body, _DEPTH))[:_MOST] or _coded(found))


def fault_in(text: str) -> Fault:
    """Return the error in a text that is, or contains, an error's body."""
    return _in_text(text, _DEPTH)


def _coded(found: Fault) -> str:
    return f"code {found.code}" if found.code else ""


def words(body: Json) -> Fault:
    """Return the texts of a body that holds neither an answer nor an error."""
    found = _fault(body, _DEPTH)
    leaves = _leaves({name: held for name, held in body.items() if name not in _KEEPING}, _DEPTH)
    return found if found.message else found._replace(message="; ".join(leaves)[:_MOST])


def broken(body: Json) -> Fault | None:
    """Return the error that a reply of status 200, or a part of a stream, reports; None if it reports none."""
    return fault(body) if _is_broken(body) else None


def _is_broken(body: Json) -> bool:
    if _says_something(body.get("error")) or str(body.get("object", "")).lower() == "error":
        return True
    if body.get("choices"):
        return False
    refused = str(as_object(body.get("base_resp")).get("status_code", 0)) != "0" or body.get("success") is False
    if refused or body.get("type") == "error" or body.get("errors"):
        return True
    return not body.keys() & _IS_REPLY and _says_why(body)


def _says_why(body: Json) -> bool:
    if any(_fault(body[name], _DEPTH).message for name in _FAULTS if body.get(name)):
        return True
    has_message = any(isinstance(body.get(name), str) and body[name] for name in _TEXTS)
    codes = [body[name] for name in ("code", "status", "status_code", "statusCode", "errcode") if name in body]
    if codes:
        return has_message and any(str(code).lower() not in _NO_FAULT for code in codes)
    return has_message or bool(as_list(body.get("detail")))


def _leaves(held: object, depth: int, name: str = "") -> Iterator[str]:
    """Yield the texts in an object, each with its field's name."""
    if isinstance(held, str) and held.strip():
        yield f"{name}: {held.strip()}" if name else held.strip()
    elif depth:
        for key, each in as_object(held).items():
            yield from _leaves(each, depth - 1, key)
        for each in as_list(held):
            yield from _leaves(each, depth - 1, name)


def _says_something(error: object) -> bool:
    return any(as_object(error).values()) if as_object(error) else bool(error)


def _fault(body: object, depth: int) -> Fault:
    if isinstance(body, str):
        return _in_text(body, depth)
    if isinstance(body, list):
        return _of_list(as_list(cast("object", body)), depth)
    return _of_object(as_object(body), depth) if depth else Fault("")


def _of_list(errors: Sequence[object], depth: int) -> Fault:
    details = tuple(validation.details(errors))
    if details:
        message = "; ".join(each.message for each in details)
        return Fault(message, details[0].kind, param=details[0].name, details=details)
    found = [_fault(each, depth - 1) for each in errors[:_MOST_ERRORS]] if depth else []
    return next((each for each in found if each.message), found[0] if found else Fault(""))


def _of_object(body: Json, depth: int) -> Fault:
    if "loc" in body and isinstance(body.get("msg"), str):
        return _of_list([body], depth)
    inner = [found for name in _HOLDERS if body.get(name) and (found := _inside(body[name], depth)) is not None]
    messages = [*(each.message for each in inner if each.message), *_by_field(body), *_texts(body)]
    message = _first(text for text in messages if text.strip(" .").lower() not in _PHRASES) or _first(messages)
    codes = (*_codes(body), *(code for each in inner for code in each.codes), *(each.code for each in inner))
    wait = _first([*_waits(body), *(each.wait_s for each in inner if each.wait_s is not None)])
    return Fault(
        _from_upstream(body, message or "", depth),
        _first(codes) or "",
        _status(body) or _first(each.status for each in inner if each.status),
        _param(body) or _first(each.param for each in inner if each.param) or "",
        tuple(dict.fromkeys(code for code in codes if code)),
        wait,
        _first(each.details for each in inner if each.details) or (),
    )


def _inside(held: object, depth: int) -> Fault | None:
    is_one = depth and (isinstance(held, str) or bool(as_object(held) or as_list(held)))
    return _fault(held, depth - 1) if is_one else None


def _from_upstream(body: Json, message: str, depth: int) -> str:
    """Return the gateway's message with that of the provider behind it, which is the more helpful one."""
    metadata = as_object(body.get("metadata"))
    raw = _inside(metadata.get("raw") or body.get("raw"), depth)
    who = metadata.get("provider_name") or body.get("provider_name")
    if raw is None or not raw.message or raw.message in message:
        return message
    words = f"{message}: {raw.message}" if message else raw.message
    return f"{words} ({who})" if who else words


def _texts(body: Json) -> Iterator[str]:
    for name in _TEXTS:
        lines = [body[name]] if isinstance(body.get(name), str) else as_list(body.get(name))
        text = "; ".join(line for line in lines if isinstance(line, str) and line.strip())
        if text:
            yield text


def _by_field(body: Json) -> Iterator[str]:
    """Yield the validation messages per field: ``{"errors": {"max_tokens": ["…"]}}``."""
    messages = [
        f"{field}: {line}"
        for field, lines in as_object(body.get("errors")).items()
        for line in as_list(lines)
        if isinstance(line, str)
    ]
    if messages:
        yield "; ".join(messages)


_PHRASES = {each.phrase.lower() for each in HTTPStatus} | {"error", "validation error", "bad_request"}
"""Reason phrases of HTTP statuses and similar: they add nothing to the status."""


def _codes(body: Json) -> Iterator[str]:
    for name in _CODES:
        value = body.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "" and len(str(value)) < _CODE:
            yield f"{_numbered_by(name, value, body)}{value}"
    for held in (body.get("innererror"), body.get("metadata")):
        yield from (str(value) for key, value in as_object(held).items() if key in {"code", "error_type"} and value)
    for detail in map(as_object, as_list(body.get("details"))):
        yield from (str(detail[name]) for name in ("reason", "quotaId") if detail.get(name))
        for violation in map(as_object, as_list(detail.get("violations"))):
            yield from (str(violation[name]) for name in ("quotaId", "reason") if violation.get(name))
            if str(violation.get("quotaValue")) == "0":
                yield "quota_is_zero"


def _numbered_by(name: str, value: str | int, body: Json) -> str:
    """Return the prefix for a numeric code of one provider, recognised by the body's form."""
    if name == "status_code" and "status_msg" in body:
        return "minimax:"
    return "zai:" if isinstance(value, str) and "message" in body and _OF_ZAI.fullmatch(value) else ""


_CODE = 120
_OF_ZAI = re.compile(r"1[1-3]\d\d")


def _status(body: Json) -> int | None:
    for name in _STATUSES:
        value = str(body.get(name, ""))
        if re.fullmatch(r"[45]\d\d", value):
            return int(value)
    return None


def _param(body: Json) -> str:
    param = body.get("param") or body.get("parameter")
    return param if isinstance(param, str) else ""


def _waits(body: Json) -> Iterator[float]:
    for holder in (body, *map(as_object, as_list(body.get("details"))), as_object(body.get("metadata"))):
        for name in _WAITS:
            value = holder.get(name)
            if isinstance(value, str | int | float) and (wait := retry_after.seconds(str(value))) is not None:
                yield wait
        value = holder.get("retry_after_ms")
        if isinstance(value, int | float):
            yield value / 1000
    headers = {
        name.lower(): str(value) for name, value in as_object(as_object(body.get("metadata")).get("headers")).items()
    }
    wait = retry_after.asked(headers)
    wait = retry_after.resets(headers) if wait is None else wait
    if wait is not None:
        yield wait


def _of_markup(text: str) -> Fault:
    words, code = markup.read(text[: 4 * _MOST])
    return Fault(words, code, codes=(code,) if code else ())


def _in_text(text: str, depth: int) -> Fault:
    text = text.strip()
    if re.match(r"<[!?a-z]", text, re.IGNORECASE):
        return _of_markup(text)
    inner = _document_in(text) if depth and len(text) <= 8 * _MOST else None
    found = _fault(inner, depth - 1) if inner is not None else None
    return found if found and found.message else Fault(text)


def _document_in(text: str) -> object:
    """Return the JSON object or list that a text is or contains; Python literals are accepted too."""
    start = re.search(r"\[?\s{0,9}\{", text)
    if start is None:
        return None
    document = text[start.start() :]
    try:
        return cast("object", json.JSONDecoder(strict=False).raw_decode(document)[0])
    except (ValueError, RecursionError):
        return _literal(document[: document.rfind("]" if document.startswith("[") else "}") + 1])


def _literal(text: str) -> object:
    try:
        return cast("object", ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _first(values: Any) -> Any:  # noqa: ANN401  of any kind
    return next(iter(values), None)
