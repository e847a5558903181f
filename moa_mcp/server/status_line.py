"""Protects the status in a result: detects answers that imitate it, and keeps untrusted text on one line."""

from __future__ import annotations

import re
import unicodedata

_STATES = ("degraded", "stillrunning", "interrupted", "notstarted", "invalidarguments", "completetheanswerofrun")
_CANCELLED = re.compile(r"run\w{0,80}?wascancelled")
_BEGINNING = 200
"""Characters at the beginning of an answer that are searched for the words of a status."""
_WORD = re.compile(r"[^\W_]")
_FOOTER = re.compile(r"[\w-]+\s*,\s*run\s", re.IGNORECASE)


def one_line(text: str) -> str:
    """Return untrusted text on one line."""
    return " ".join(text.split())


def imitated(answer: str, pipeline: str) -> bool:
    """Whether an answer begins like the text of another status, or has a line like the last line of a result.

    Only letters and digits count, in any Unicode form, so formatting can't hide an imitation. A false positive is
    harmless: such an answer only gets an introductory line.
    """
    lines = unicodedata.normalize("NFKC", answer).splitlines()
    begins = _letters("\n".join(lines))
    return (
        begins.startswith((*_STATES, f"{_letters(pipeline)}failed"))
        or _CANCELLED.match(begins) is not None
        or any(map(_last, lines))
    )


def _letters(text: str) -> str:
    """Return the first letters and digits of a text."""
    first = _WORD.search(text)
    start = first.start() if first else 0
    return "".join(each for each in text[start : start + _BEGINNING].casefold() if each.isalnum())


def _last(line: str) -> bool:
    """Whether a line looks like the last line of a result: a pipeline and a run in brackets."""
    first = _WORD.search(line)
    return first is not None and "[" in line[: first.start()] and _FOOTER.match(line, first.start()) is not None
