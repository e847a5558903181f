"""Patterns that are lists of phrases, written one below the other so that they can be read."""

from __future__ import annotations

import re

_PLAIN = str.maketrans("\u2018\u2019\u201c\u201d\u2013\uff1a\uff0c\uff08\uff09", "''\"\"-:,()")


def phrases(text: str) -> re.Pattern[str]:
    """Return a pattern that finds any of the lines of a text, in small letters or capitals.

    A line that is indented deeper than the first goes on with the one before it.
    """
    lines = text.strip("\n").rstrip().split("\n")
    usual = len(lines[0]) - len(lines[0].lstrip())
    joined = "\n".join(lines).replace("\n" + " " * 2 * usual, "")
    return re.compile("|".join(line.strip() for line in joined.split("\n")), re.IGNORECASE | re.DOTALL)


def plain(text: str) -> str:
    """Return words with plain quotes, dashes and colons, as the patterns have them."""
    return text.translate(_PLAIN)
