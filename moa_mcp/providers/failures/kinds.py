"""Classifies a rejected request by its status, codes and message. Pure.

Codes take precedence over messages, and messages over the status, which many servers choose badly.
"""

from __future__ import annotations

import re

from moa_mcp.providers.failures import context_length, words
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.failures.codes import BY_CODE, Kind

_BEYOND_MINUTE = re.compile(r"limit:? (\d+).{0,60}requested:? (\d+)", re.IGNORECASE | re.DOTALL)


def kind(status: int | None, fault: Fault, *, wait_s: float | None) -> Kind:
    """Return the kind of failure.

    `status` is HTTP's, or the body's if that is a success; `wait_s` is the seconds to wait that the body asks for.
    """
    message, codes = fault.message, _codes(fault)
    coded: set[Kind] = {name for name, known in BY_CODE if codes & known}
    if "filter" in coded or (status not in {401, 429} and words.FILTERED.search(message)):
        return "filter"
    if limit := _limit(status, message, codes, coded, wait_s):
        return limit
    often = "rate" in coded or words.TOO_OFTEN.search(message) is not None
    if not often and (status in {401, 403} or ("key" in coded and status == _TOO_MANY)):
        return "key"
    if status in {403, 429} or ("rate" in coded and status not in _FAILING):
        return "rate"
    return _other(status, message, codes, coded)


def _limit(status: int | None, message: str, codes: set[str], coded: set[Kind], wait_s: float | None) -> Kind | None:
    """Return "rate" for a limit that waiting helps against, "quota" for exhausted credit; None for neither."""
    no_money = words.NO_MONEY.search(message)
    unpaid = no_money[0].lower() if no_money else ""
    can_wait = wait_s is not None and status == _TOO_MANY and "limit: 0" not in message
    table: tuple[tuple[bool, Kind], ...] = (
        (status == _UNPAID or "quota_is_zero" in codes or any("perday" in code for code in codes), "quota"),
        (any("perminute" in code or "persecond" in code for code in codes), "rate"),
        (_is_beyond_minute(status, message), "quota"),
        ("resource_exhausted" in codes and (not unpaid or "current quota" in unpaid), "rate"),
        ("quota" in coded, "quota"),
        (bool(unpaid) and can_wait, "rate"),
        (bool(unpaid) and status not in {401, 404}, "quota"),
    )
    return next((found for holds, found in table if holds), None)


def _is_beyond_minute(status: int | None, message: str) -> bool:
    """Whether one request exceeds the tokens per minute of the account, so that waiting does not help."""
    if status in {400, 413, 422} and _PER_MINUTE.search(message):
        return True
    found = _BEYOND_MINUTE.search(message) if status == _TOO_MANY else None
    return found is not None and int(found[2]) > int(found[1]) and "used" not in message.lower()


def _other(status: int | None, message: str, codes: set[str], coded: set[Kind]) -> Kind:
    """Return the first matching kind of the table."""
    missing, failing, unsaid = status in _MISSING, status in _FAILING, status is None
    no_model = "model" in coded or words.NO_MODEL.search(message) is not None
    busy = words.BUSY.search(message) is not None and "non-serverless" not in message.lower()
    wordless = status == _TOO_LARGE and _WORDLESS.match(message) is not None
    long = "long" in coded or context_length.says(message) or wordless
    bad_key = "key" in coded or (status in {None, 400, 422, 500} and words.BAD_KEY.search(message) is not None)
    table: tuple[tuple[bool, Kind], ...] = (
        (status == _TIMED_OUT, "timeout"),
        (missing and busy and not no_model, "server"),
        (missing and no_model, "model"),
        (missing, "path"),
        (bad_key, "key"),
        (words.SYSTEM.search(message) is not None and words.NO_TEMPLATE.search(message) is None, "system"),
        (long and not failing, "long"),
        (no_model and not failing and busy, "server"),
        (no_model and not failing, "model"),
        (unsaid and words.NO_PATH.search(message) is not None, "path"),
        (unsaid and words.TOO_OFTEN.search(message) is not None, "rate"),
        (unsaid and "request" in coded and "server" not in coded, "request"),
        (unsaid, "server"),
        (status is not None and (status in _TRANSIENT or status >= _SERVERS), "server"),
        (busy and not coded & {"request"} and not _VAGUE & codes and status in {400, 412, 422}, "server"),
        (True, "request"),
    )
    return next(found for holds, found in table if holds)


_UNPAID, _TIMED_OUT, _TOO_LARGE, _TOO_MANY, _SERVERS = 402, 408, 413, 429, 500
_MISSING = frozenset({404, 405, 410})
_TRANSIENT = frozenset({409, 421, 423, 424, 425, 440, 449, 460, 498, 499})
_FAILING = frozenset({502, 503, 504, 529})
"""Statuses of gateways and overloaded servers, which count whatever the message says."""
_VAGUE = frozenset({"invalid_request_error"})
"""Codes that many servers use for any failure."""
_WORDLESS = re.compile(r"\Z|a web page|HTTP status")
_PER_MINUTE = re.compile(r"per min(?:ute)?\b")


def _codes(fault: Fault) -> set[str]:
    codes = {code.lower().strip() for code in (fault.code, *fault.codes)}
    return {part for code in codes for part in (code, code.rpartition(".")[2], code.rpartition("#")[2]) if part}
