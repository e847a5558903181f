"""What a result says of its run around the answer, and whether an answer could pass for saying it."""

from __future__ import annotations

import re
import unicodedata

_STATES = ("degraded", "stillrunning", "interrupted", "notstarted", "invalidarguments", "completetheanswerofrun")
_CANCELLED = re.compile(r"run\w{0,80}?wascancelled")
_BEGINNING = 200
"""Characters in which the words of a status would have to stand, decoration included."""
_WORD = re.compile(r"[^\W_]")
_FOOTER = re.compile(r"[\w-]+\s*,\s*run\s", re.IGNORECASE)


def one_line(text: str) -> str:
    """Return what others wrote as a part of one line of ours."""
    return " ".join(text.split())


def imitated(answer: str, pipeline: str) -> bool:
    """Whether an answer begins as the text of another status does, or holds a line like the last one of ours.

    Letters alone count, in whatever form Unicode has of them, so no decoration hides it. It is better to find too
    many: what is found is only introduced.
    """
    lines = unicodedata.normalize("NFKC", answer).splitlines()
    begins = _letters("\n".join(lines))
    return (
        begins.startswith((*_STATES, f"{_letters(pipeline)}failed"))
        or _CANCELLED.match(begins) is not None
        or any(map(_last, lines))
    )


def _letters(text: str) -> str:
    """Return the letters and digits with which a text begins."""
    first = _WORD.search(text)
    start = first.start() if first else 0
    return "".join(each for each in text[start : start + _BEGINNING].casefold() if each.isalnum())


def _last(line: str) -> bool:
    """Whether a line could be the one that ends a result: in brackets, a pipeline and a run."""
    first = _WORD.search(line)
    return first is not None and "[" in line[: first.start()] and _FOOTER.match(line, first.start()) is not None
