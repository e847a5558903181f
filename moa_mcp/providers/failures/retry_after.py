"""How long a provider asks to wait, read from headers and error bodies. Depends only on the clock."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS: tuple[tuple[str, float], ...] = (
    (r"milliseconds?|millis|msecs?|ms|毫秒", 0.001),
    (r"seconds?|secs?|s|秒", 1),
    (r"minutes?|mins?|m|分钟?", 60),
    (r"hours?|hrs?|h|小时", 3600),
    (r"days?|d|天", 86_400),
)
_UNIT = "|".join(names for names, _ in _UNITS)
_PART = rf"\d{{1,12}}(?:\.\d{{1,12}})?\s?(?:{_UNIT})(?![a-z])"
_DURATION = re.compile(rf"{_PART}(?:,?\s?(?:and\s)?{_PART}){{0,4}}", re.IGNORECASE)
_PARTS = re.compile(rf"(\d{{1,12}}(?:\.\d{{1,12}})?)\s?({_UNIT})(?![a-z])", re.IGNORECASE)
_ASKED = re.compile(
    r"(?:(?:try|request|submit)(?: your request)? again|retry|wait|resets?|available|请)[^.\d\n]{0,40}?(?=\d)",
    re.IGNORECASE,
)
_RESETS = re.compile(r"(?:x-|anthropic-)?ratelimit(?:-[a-z-]*)?-?reset(?:-[a-z-]+)?|x-ratelimit-reset-after")
_LONG_AGO_S = 1e9
"""Numbers above this are seconds since 1970; above a thousand times this, milliseconds since 1970."""


def asked(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that the headers ask for; some state them in milliseconds."""
    milliseconds = seconds(headers.get("retry-after-ms"))
    return seconds(headers.get("retry-after")) if milliseconds is None else milliseconds / 1000


def resets(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the exhausted limit resets, as far as the headers say.

    Each limit has its own reset. If the headers don't say which limit is exhausted, the earliest reset counts.
    """
    found = {name.lower(): wait for name, value in headers.items() if _is_reset(name) if (wait := seconds(value))}
    spent = [wait for name, wait in found.items() if _nothing_left(headers, name)]
    return max(spent) if spent else min(found.values(), default=None)


def _is_reset(name: str) -> bool:
    return _RESETS.fullmatch(name.lower()) is not None


def _nothing_left(headers: Mapping[str, str], name: str) -> bool:
    left = headers.get(name.replace("reset-after", "remaining").replace("reset", "remaining"))
    return left is not None and left.strip() == "0"


def seconds(text: str | None) -> float | None:
    """Parse a waiting time: seconds, a duration such as ``6m0s``, or a point in time.

    Points in time are in the format of RFC 9110 (10.2.3) or RFC 3339, or seconds or milliseconds since 1970.
    """
    text = (text or "").strip()
    try:
        number = float(text)
    except ValueError:
        return _duration(text) if _DURATION.fullmatch(text) else _until(text)
    if not 0 <= number < float("inf"):
        return 0.0 if number < 0 else None
    if number >= _LONG_AGO_S:
        return max(0.0, number / (1000 if number >= 1000 * _LONG_AGO_S else 1) - time.time())
    return number


def in_words(text: str) -> float | None:
    """Return the seconds to wait that a sentence asks for: ``Please try again in 1m12.5s``."""
    for found in _ASKED.finditer(text):
        if duration := _DURATION.match(text, found.end()):
            return _duration(duration[0])
    return None


def _duration(text: str) -> float:
    return round(sum(float(number) * _worth(unit) for number, unit in _PARTS.findall(text)), 6)


def _worth(unit: str) -> float:
    return next(worth for names, worth in _UNITS if re.fullmatch(names, unit, re.IGNORECASE))


def _until(text: str) -> float | None:
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - time.time())
    return None
