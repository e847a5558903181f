"""From how a provider refused a request to our error, whichever transport brought it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

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
    TimedOut,
)
from moa_mcp.redact import redact
from moa_mcp.surrogates import mended
from moa_mcp.values import Target

_PARAMETER = re.compile(r"\b(temperature|top_p|max_tokens|max_completion_tokens)\b")
_INSTEAD = re.compile(r"[Uu]se\W+(max_tokens|max_completion_tokens)\b")
_TOO_LONG = re.compile(
    r"context.?(length|window)|maximum context|too long|too many (input )?tokens|prompt is too large",
    re.IGNORECASE,
)
_FILTERED = {"content_policy_violation", "content_filter"}
_UNKNOWN_MODEL = re.compile(
    r"\bmodel\b.{0,120}\b(does not exist|doesn't exist|not found|not exist)|\b(invalid|unknown|no such) model\b|"
    r"not a valid model",
    re.IGNORECASE,
)


def refused(  # noqa: PLR0911  a table
    target: Target, status: int | None, told: str, *, code: str = "", retry_after: str | None = None
) -> CallError:
    """Return the error for an HTTP status, the provider's words, and the code it gave beside them."""
    told = said(told, target.api_key) or ("no reason given" if status is None else f"HTTP status {status}")
    message = f"{target.model}: {told}"
    if code in _FILTERED:
        return AnswerRefused(message)
    match status:
        case 401 | 403:
            return AuthFailed(message)
        case 402:
            return QuotaExceeded(message)
        case 404:
            return ModelNotFound(message)
        case 408:
            return TimedOut(message)
        case 429 if code == "insufficient_quota" or "exceeded your current quota" in told:
            return QuotaExceeded(message)
        case 429:
            return RateLimited(message, retry_after_s=seconds(retry_after))
        case 400 | 422 if code == "model_not_found" or _UNKNOWN_MODEL.search(told):
            return ModelNotFound(message)
        case 400 | 413 | 422:
            return _at_fault(told, message)
        case _:
            return ServerFailed(message, retry_after_s=seconds(retry_after))


def _at_fault(told: str, message: str) -> CallError:
    if "per minute" in told:  # more than the account may have at all
        return QuotaExceeded(message)
    if _TOO_LONG.search(told):
        return ContextTooLong(message)
    named = _PARAMETER.search(told)
    if named is None:
        return RequestRefused(message)
    instead = _INSTEAD.search(told)
    return ParameterRefused(message, parameter=named[1], instead=instead[1] if instead else None)


def unreached(target: Target, *, connected: bool) -> ConnectionFailed:
    """Return the error for a line that broke, or was never there: then nothing can have been billed."""
    place = redact(target.api_base or "the provider")
    if connected:
        return ConnectionFailed(f"{target.model}: the connection to {place} broke off, or brought what can't be read")
    failed = ConnectionFailed(f"{target.model}: no connection to {place}")
    failed.paid = False
    return failed


def retry_after(headers: Mapping[str, str]) -> str | None:
    """Return how long a reply's headers ask to wait, in the form of Retry-After; some tell it in milliseconds."""
    milliseconds = seconds(headers.get("retry-after-ms"))
    return headers.get("retry-after") if milliseconds is None else str(milliseconds / 1000)


def seconds(asked: str | None) -> float | None:
    """Read a Retry-After value: seconds, or a date (RFC 9110, section 10.2.3)."""
    try:
        return None if asked is None else max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked or "").timestamp() - time.time())
    except ValueError:
        return None


def said(text: str, key: str | None, limit: int = 400) -> str:
    """Return a provider's own words on one line, without keys; of a web page, that it is one."""
    line = redact(" ".join(mended(text).split()), {**os.environ, "ROUTE_KEY": key or ""}).strip(" .")
    if line.startswith("<"):
        return "a web page came in place of an answer"
    return line if len(line) <= limit else line[: limit - 1] + "…"
