"""What kind of failure a refusal is, by its status, its codes and its words. Pure.

Codes say more than words, and words more than the status, which many servers choose badly.
"""

from __future__ import annotations

import re

from moa_mcp.providers.failures import context_length, words
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.failures.codes import BY_CODE, Kind

_BEYOND_MINUTE = re.compile(r"limit:? (\d+).{0,60}requested:? (\d+)", re.IGNORECASE | re.DOTALL)


def kind(status: int | None, fault: Fault, *, wait_s: float | None) -> Kind:
    """Return what kind of failure a refusal is.

    `status` is HTTP's, or where that says success, the body's own; `wait_s` is how long the body asks to wait.
    """
    told, codes = fault.told, _codes(fault)
    coded: set[Kind] = {name for name, known in BY_CODE if codes & known}
    if "filter" in coded or (status not in {401, 429} and words.FILTERED.search(told)):
        return "filter"
    if limit := _limit(status, told, codes, coded, wait_s):
        return limit
    often = "rate" in coded or words.TOO_OFTEN.search(told) is not None
    if not often and (status in {401, 403} or ("key" in coded and status == _TOO_MANY)):
        return "key"
    if status in {403, 429} or ("rate" in coded and status not in _FAILING):
        return "rate"
    return _other(status, told, codes, coded)


def _limit(status: int | None, told: str, codes: set[str], coded: set[Kind], wait_s: float | None) -> Kind | None:
    """Return whether what was reached is a limit that waiting helps against, or the end of what was paid for."""
    no_money = words.NO_MONEY.search(told)
    unpaid = no_money[0].lower() if no_money else ""
    can_wait = wait_s is not None and status == _TOO_MANY and "limit: 0" not in told
    table: tuple[tuple[bool, Kind], ...] = (
        (status == _UNPAID or "quota_is_zero" in codes or any("perday" in code for code in codes), "quota"),
        (any("perminute" in code or "persecond" in code for code in codes), "rate"),
        (_is_beyond_minute(status, told), "quota"),
        ("resource_exhausted" in codes and (not unpaid or "current quota" in unpaid), "rate"),
        ("quota" in coded, "quota"),
        (bool(unpaid) and can_wait, "rate"),
        (bool(unpaid) and status not in {401, 404}, "quota"),
    )
    return next((found for holds, found in table if holds), None)


def _is_beyond_minute(status: int | None, told: str) -> bool:
    """Whether one request is more than the account may have in a minute: no waiting helps against that."""
    if status in {400, 413, 422} and _PER_MINUTE.search(told):
        return True
    found = _BEYOND_MINUTE.search(told) if status == _TOO_MANY else None
    return found is not None and int(found[2]) > int(found[1]) and "used" not in told.lower()


def _other(status: int | None, told: str, codes: set[str], coded: set[Kind]) -> Kind:
    """Return the first kind in a table that fits."""
    missing, failing, unsaid = status in _MISSING, status in _FAILING, status is None
    no_model = "model" in coded or words.NO_MODEL.search(told) is not None
    busy = words.BUSY.search(told) is not None and "non-serverless" not in told.lower()
    long = "long" in coded or context_length.says(told) or (status == _TOO_LARGE and _WORDLESS.match(told) is not None)
    bad_key = "key" in coded or (status in {None, 400, 422, 500} and words.BAD_KEY.search(told) is not None)
    table: tuple[tuple[bool, Kind], ...] = (
        (status == _TIMED_OUT, "timeout"),
        (missing and busy and not no_model, "server"),
        (missing and no_model, "model"),
        (missing, "path"),
        (bad_key, "key"),
        (words.SYSTEM.search(told) is not None and words.NO_TEMPLATE.search(told) is None, "system"),
        (long and not failing, "long"),
        (no_model and not failing and busy, "server"),
        (no_model and not failing, "model"),
        (unsaid and words.NO_PATH.search(told) is not None, "path"),
        (unsaid and words.TOO_OFTEN.search(told) is not None, "rate"),
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
"""Statuses of gateways and of servers with too much to do, whatever they say."""
_VAGUE = frozenset({"invalid_request_error"})
"""Codes that many servers give whatever went wrong."""
_WORDLESS = re.compile(r"\Z|a web page|HTTP status")
_PER_MINUTE = re.compile(r"per min(?:ute)?\b")


def _codes(fault: Fault) -> set[str]:
    codes = {code.lower().strip() for code in (fault.code, *fault.codes)}
    return {part for code in codes for part in (code, code.rpartition(".")[2], code.rpartition("#")[2]) if part}
