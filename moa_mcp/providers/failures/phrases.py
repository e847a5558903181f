"""Patterns written as lists of phrases, one per line, for readability."""

from __future__ import annotations

import re

_PLAIN = str.maketrans("\u2018\u2019\u201c\u201d\u2013\uff1a\uff0c\uff08\uff09", "''\"\"-:,()")


def phrases(text: str) -> re.Pattern[str]:
    """Return a case-insensitive pattern that matches any of the lines of a text.

    A line with deeper indentation than the first continues the line before it.
    """
    lines = text.strip("\n").rstrip().split("\n")
    usual = len(lines[0]) - len(lines[0].lstrip())
    joined = "\n".join(lines).replace("\n" + " " * 2 * usual, "")
    return re.compile("|".join(line.strip() for line in joined.split("\n")), re.IGNORECASE | re.DOTALL)


def plain(text: str) -> str:
    """Return a text with ASCII quotes, dashes and colons, as the patterns expect."""
    return text.translate(_PLAIN)
