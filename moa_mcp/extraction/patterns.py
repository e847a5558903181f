"""Extracts the last match of a configured regular expression from an answer.

Such expressions may take exponential time, so each answer has a time limit, after which there is no match. Expressions
have the syntax of Python's `re`; the `regex` package, which supports the time limit, is configured to read them so.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from moa_mcp.extraction.texts import whole_text

if TYPE_CHECKING:
    import regex

TIME_LIMIT_S = 1.0
"""Seconds for one answer."""

_PART = re.compile(r"(?P<set>\[\^?\]?)|(?P<brace>\{(?!\d+\}|\d*,\d*\}))|(?P<end>\])|\\.|.", re.DOTALL)
_COMMON = re.compile(r"(?:\\[bBdDsSwW]|[\w ^$.|()*+?:-])*")
"""Patterns of these parts that `re` accepts, `regex` accepts too, and loading it takes as long as a configuration."""


class PatternTooSlow(Exception):
    """The expression exceeded its time limit."""


def fault_of(pattern: str) -> str | None:
    """Return why a text is not a valid regular expression; None if it is one."""
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return None if _COMMON.fullmatch(pattern) else _fault_in_regex(pattern)


def last_match(answer: str, pattern: str) -> str | None:
    """Return the first group of the last match, or the whole match if there are no groups; None without a match.

    Raises:
        PatternTooSlow: the search takes longer than `TIME_LIMIT_S`.

    """
    expression, last = compiled(pattern), None
    ends = time.monotonic() + TIME_LIMIT_S
    try:
        for match in expression.finditer(answer, timeout=TIME_LIMIT_S, concurrent=True):
            last = match
            if time.monotonic() > ends:  # the timeout of `finditer` is per match
                break
        else:
            return None if last is None else whole_text(last[1 if expression.groups else 0] or "")
    except TimeoutError:
        pass
    raise PatternTooSlow(f"{pattern!r} took longer than {TIME_LIMIT_S:g} s")


@lru_cache(maxsize=64)
def compiled(pattern: str) -> regex.Pattern[str]:
    """Return a regular expression that reads as in `re`, and whose searches take a time limit."""
    import regex  # noqa: PLC0415  slow to import, and only needed for patterns

    return regex.compile(_as_re_reads(pattern), regex.VERSION0)


def _fault_in_regex(pattern: str) -> str | None:
    import regex  # noqa: PLC0415

    try:
        compiled(pattern)
    except regex.error as error:
        return str(error)
    return None


def _as_re_reads(pattern: str) -> str:
    """Escape what `regex` reads as special and `re` does not.

    In `regex`, ``x{e}`` is a fuzzy match and ``[[:alpha:]]`` a class.
    """
    parts: list[str] = []
    in_set = False
    for found in _PART.finditer(pattern):
        part = found[0]
        match found.lastgroup:
            case "set" if not in_set:
                in_set = True
                parts.append(part.replace("]", "\\]"))  # as the first character of a set, it does not close it
            case "set":
                in_set = not part.endswith("]")
                parts.append(f"\\{part}")
            case "brace" if not in_set:
                parts.append("\\{")
            case kind:
                in_set = in_set and kind != "end"
                parts.append(part)
    return "".join(parts)
