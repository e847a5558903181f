"""Maps the failure of a program to one of our errors: login, exhausted subscription, rate limit, and others. Pure."""

from __future__ import annotations

import signal

from moa_mcp.errors import AuthFailed, CallError, QuotaExceeded, RateLimited, UnexpectedFault
from moa_mcp.providers.command.output import plain
from moa_mcp.providers.command.process import Finished
from moa_mcp.providers.failures import kinds, refusals, retry_after, words
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.failures.codes import Kind
from moa_mcp.providers.failures.phrases import phrases
from moa_mcp.providers.failures.phrases import plain as ascii_of
from moa_mcp.routing.commands import PRESETS
from moa_mcp.text.redact import redact
from moa_mcp.values import Target

_LOGIN = phrases(r"""
    not logged in|please (?:run|use) .{0,20}log ?in|please (?:log|sign) ?in|(?:log|sign) in again
    log ?in (?:is )?required|(?:run|use|with) [`'\"]?\w+ (?:auth )?login|please set an auth method
    no authentication is configured|re-?authenticate|authentication required|401 unauthorized
    (?:oauth|refresh|access|authentication|auth|login|session)(?: token)? (?:has |is |was )?(?:been )?(?:expired
        |revoked|invalidated|invalid)
""")
_EXHAUSTED = phrases(r"""
    (?:hit|reached|exceeded) your (?:[\w-]+ ){0,3}limit|usage[_ ]limit(?: has been)?[_ ]reached
    out of (?:extra )?(?:usage|credits)|exhausted your (?:\w+ )?quota|(?:weekly|daily|monthly|\d-hour) limit reached
""")
_SLOW_DOWN = phrases("""
    exhausted your capacity|quota will reset after
""")
_SAID: frozenset[Kind] = frozenset({"key", "quota", "rate", "model", "long", "filter"})
"""The kinds of failures that the words of a program can say. Others need an HTTP status."""
_READ = 2**16
_SHOWN = 400
"""Characters of standard error that are read and shown, the last ones."""


def reported(target: Target, message: str, status: int | None) -> CallError:
    """Return the error that a program reported, with the HTTP status that it got, if any."""
    text = ascii_of(message)
    fault = Fault(_visible(message))
    reason = refusals.shown(fault.message, None) or "no reason given"
    if status in {None, 401, 403} and _LOGIN.search(text):
        return AuthFailed(f"{target.model}: {reason}{_login(target)}")
    if _SLOW_DOWN.search(text):
        return RateLimited(f"{target.model}: {reason}", retry_after_s=retry_after.in_words(text))
    if _EXHAUSTED.search(text):
        return QuotaExceeded(f"{target.model}: {reason}")
    kind = kinds.kind(status, fault._replace(message=text), wait_s=None)
    if status is None and kind not in _SAID and not words.BUSY.search(text):
        return UnexpectedFault(f"{target.model}: {reason}")
    error = refusals.refused(target, status, fault)
    return AuthFailed(f"{error}{_login(target)}") if isinstance(error, AuthFailed) else error


def unfinished(target: Target, finished: Finished) -> CallError:
    """Return the error for a program that ended with an error, or printed what can't be read."""
    reason = _end(finished.stderr) or _end(finished.stdout)
    error = reported(target, reason, None)
    if isinstance(error, UnexpectedFault):
        return UnexpectedFault(f"{target.model} {_ended(finished.code)}{f': {reason}' if reason else ''}")
    return error


def _end(printed: bytes) -> str:
    """Return the end of an output on one line, without keys. They are masked first: a part of one looks harmless."""
    line = redact(" ".join(_visible(printed[-_READ:].decode("utf-8", "replace")).split()))
    return line if len(line) <= _SHOWN else f"…{line[1 - _SHOWN :]}"


def _ended(code: int) -> str:
    if code < 0:
        names = {each.value: each.name for each in signal.Signals}
        return f"was ended by {names.get(-code, f'signal {-code}')}"
    return f"ended with exit code {code}" if code else "printed no answer in the expected form"


def _login(target: Target) -> str:
    known = PRESETS.get(target.program.preset) if target.program else None
    return f"; run {known.login} in a terminal to log in" if known else ""


def _visible(text: str) -> str:
    """Return a text without colors, and with escapes for control characters."""
    return "".join(
        each if each.isprintable() or each.isspace() else each.encode("unicode_escape").decode() for each in plain(text)
    )
