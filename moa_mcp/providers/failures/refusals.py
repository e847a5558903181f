"""Builds our error for a request that a provider rejected, for both transports.

`kinds` classifies it, `parameters` reads the rejected parameter, and `retry_after` the time to wait. The error's
message holds the provider's message and the address that was called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from moa_mcp.errors import (
    AnswerRefused,
    AuthFailed,
    CallError,
    ConnectionFailed,
    ContextTooLong,
    ModelNotFound,
    ParameterRefused,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    SystemRoleRefused,
    TimedOut,
)
from moa_mcp.providers.failures import affordable, context_length, kinds, parameters, retry_after, words
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.failures.codes import Kind
from moa_mcp.providers.failures.phrases import plain
from moa_mcp.routing import addresses, proxies
from moa_mcp.routing.hosts import is_usual
from moa_mcp.text.redact import redact
from moa_mcp.text.surrogates import mended
from moa_mcp.values import IMAGES, Target

_MOST = 8192
"""Maximum characters read of a provider's message: some repeat the whole prompt."""
_SUCCESS = range(200, 400)
_NO_HEADERS: Mapping[str, str] = {}


class Destination(NamedTuple):
    """The address of a request, and the proxy it went through."""

    url: str | None
    proxy: str | None = None

    @classmethod
    def of(cls, target: Target) -> Destination:
        """Return the destination of a target's calls over its OpenAI-compatible API."""
        if target.api_base is None:
            return cls(None)
        url = f"{addresses.base(target.api_base)}{addresses.PATH}"
        return cls(url, proxies.proxy_for(url))

    def __str__(self) -> str:
        through = f"through the proxy {addresses.shown(self.proxy)}" if self.proxy else ""
        url = "" if self.url is None or (is_usual(self.url) and not through) else addresses.shown(self.url)
        return " ".join(part for part in (url, through) if part)


def refused(
    target: Target,
    status: int | None,
    fault: Fault,
    headers: Mapping[str, str] = _NO_HEADERS,
    *,
    destination: Destination | None = None,
) -> CallError:
    """Return the error for a rejected request; `status` is HTTP's, None if unknown."""
    text = shown(fault.message, target.api_key) or _unsaid(status)
    fault = fault._replace(message=plain((fault.message or text)[:_MOST]))
    status = fault.status if status is None or status in _SUCCESS else status
    in_body = fault.wait_s if fault.wait_s is not None else retry_after.in_words(fault.message)
    destination = destination or Destination.of(target)
    if status == _PROXY_WANTS_KEY:
        return barred(target, status, text, destination)
    kind = kinds.kind(status, fault, wait_s=in_body)
    if images := _images_refused(status, kind, fault, _message(target, text, fault, destination, kind)):
        return images
    misplaced = kind in _MISPLACED and status in _CLIENT and _refuses_a_limit(fault)
    kind = "request" if misplaced else kind
    asked = retry_after.asked(headers)
    wait_s = in_body if asked is None else asked
    if wait_s is None and kind == "rate":
        wait_s = retry_after.resets(headers)
    error = _error(kind, _message(target, text, fault, destination, kind), fault, status, wait_s)
    if misplaced:
        error.elsewhere = True  # the status alone allows a fallback, if a smaller limit does not help
    return error


_PROXY_WANTS_KEY = 407
_CLIENT = frozenset(range(401, 500)) - {408}
_MISPLACED = frozenset[Kind]({"key", "quota", "rate", "path", "server"})
"""Kinds that rest on the status alone, which gateways choose freely."""


def _refuses_a_limit(fault: Fault) -> bool:
    """Whether the message rejects a token limit rather than reports a lack of credit."""
    return (
        words.NO_MONEY.search(fault.message) is None
        and affordable.tokens(fault.message) is None
        and parameters.names_a_limit_with_its_bound(fault)
    )


def _images_refused(status: int | None, kind: Kind, fault: Fault, message: str) -> ParameterRefused | None:
    """Return the error for images that a model does not take. Statuses and codes for it differ between servers."""
    if kind not in _MAY_REFUSE_IMAGES or (status is not None and status not in _MAY_SAY_SO):
        return None
    text = f"{fault.message} {fault.code} {fault.param}"
    if words.NO_IMAGES.search(text):
        return ParameterRefused(message, parameter=IMAGES)
    bad = kind != "server" and words.BAD_IMAGE.search(text)
    return ParameterRefused(message, parameter=IMAGES, reason="value") if bad else None


_MAY_REFUSE_IMAGES = frozenset[Kind]({"request", "long", "model", "path", "server"})
_MAY_SAY_SO = range(400, 501)


def _error(kind: Kind, message: str, fault: Fault, status: int | None, wait_s: float | None) -> CallError:
    if kind == "rate":
        return RateLimited(message, retry_after_s=wait_s)
    if kind == "server" and (refusal := _in_disguise(status, message, fault)):
        return refusal
    if kind == "server":
        return ServerFailed(message, retry_after_s=wait_s)
    if kind in {"request", "long"}:
        return _at_fault(kind, message, fault)
    if kind == "quota":
        return QuotaExceeded(message, affordable=affordable.tokens(fault.message))
    return _PLAIN[kind](message)


def _in_disguise(status: int | None, message: str, fault: Fault) -> CallError | None:
    """Return the error for a rejected parameter that a gateway reports as its own failure."""
    refusal = parameters.refusal(fault, message) if status in {None, 500} else None
    return refusal if refusal is not None and (refusal.bounds or fault.param or status is None) else None


def _at_fault(kind: Kind, message: str, fault: Fault) -> CallError:
    """Return the error for a request that would be accepted in another form."""
    room = context_length.room(fault.message)
    if room is not None or (kind == "long" and not parameters.bounds_a_limit(fault)):
        return ContextTooLong(message, room=room)
    return parameters.refusal(fault, message) or RequestRefused(message)


_PLAIN: Mapping[Kind, Callable[[str], CallError]] = {
    "key": AuthFailed,
    "timeout": TimedOut,
    "path": ModelNotFound,
    "model": ModelNotFound,
    "filter": AnswerRefused,
    "system": SystemRoleRefused,
}


def _message(target: Target, text: str, fault: Fault, destination: Destination, kind: Kind) -> str:
    param = shown(fault.param, target.api_key, 80)
    named = [f"param {param}"] if param and param.casefold() not in text.casefold() else []
    asked = redact(str(destination))
    where = [f"at {asked}" if not asked.startswith("through") else asked] if asked else []
    message = f"{target.model}: {text}"
    if named or where:
        message += f" ({'; '.join((*named, *where))})"
    if kind == "path" and destination.url is not None:
        message += f"; {addresses.advice(destination.url)}"
    return message


def _unsaid(status: int | None) -> str:
    return "no reason given" if status is None else f"HTTP status {status}"


def unreached(target: Target, *, connected: bool, destination: Destination | None = None) -> ConnectionFailed:
    """Return the error for an interrupted connection, or one never made (not `connected`): then nothing was billed."""
    destination = destination or Destination.of(target)
    server = redact(addresses.shown(target.api_base or destination.url) or "the provider")
    proxy = redact(addresses.shown(destination.proxy))
    if connected:
        through = f" (through the proxy {proxy})" if proxy else ""
        return ConnectionFailed(
            f"{target.model}: the connection to {server}{through} was interrupted, or the reply is not valid HTTP"
        )
    failed = ConnectionFailed(
        f"{target.model}: can't connect to the proxy {proxy} for {server}; {proxies.remedy(destination.url)}"
        if proxy
        else f"{target.model}: can't connect to {server}"
    )
    failed.paid = False
    return failed


def barred(target: Target, status: int, text: str, destination: Destination | None = None) -> CallError:
    """Return the error for a proxy that refuses the connection."""
    proxy = redact(addresses.shown((destination or Destination.of(target)).proxy)) or "in between"
    message = (
        f"{target.model}: the proxy {proxy} refuses the connection: {shown(text, None) or f'HTTP status {status}'}"
    )
    if status in {401, 403, _PROXY_WANTS_KEY}:
        return AuthFailed(f"{message} ({status})")
    failed = ConnectionFailed(f"{message} ({status})")
    failed.paid = False
    return failed


def unusable_proxy(target: Target, destination: Destination) -> RequestRefused:
    """Return the error for a proxy of an unsupported kind."""
    proxy = redact(addresses.shown(destination.proxy))
    return RequestRefused(f"{target.model}: the proxy {proxy} is not an HTTP proxy; {proxies.remedy(destination.url)}")


def shown(text: str, key: str | None, limit: int = 400) -> str:
    """Return a provider's message on one line, at most `limit` characters, without API keys."""
    line = redact(" ".join(mended(text[: 20 * limit]).split()), {**os.environ, "ROUTE_KEY": key or ""}).strip(" .")
    return line if len(line) <= limit else line[: limit - 1] + "…"
