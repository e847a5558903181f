"""Text that others wrote, made fit for a terminal or a pipe. It knows no run and draws nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Return the text without control characters, so that it can't command the terminal; lines and tabs stay."""
    return _CONTROLS.sub("", text)


def line(text: str) -> str:
    """Return the text on one line, without control characters."""
    return " ".join(plain(text).split())


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 call``, ``3 calls``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Iterable[str]) -> str:
    """Return names with commas between them."""
    return ", ".join(names)


def json_text(value: object) -> str:
    """Return JSON for programs: in ASCII, so that neither the encoding nor a control character can break it."""
    return json.dumps(value, indent=2)
