"""What a judge says in a reply, without its reasoning and what it is wrapped in."""

from __future__ import annotations

import json
import re
import unicodedata

_TAG = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection)"
_OPENS = re.compile(rf"\s*(?:<{_TAG}>|\[THINK\]|◁think▷)", re.IGNORECASE)
_CLOSES = re.compile(rf"</{_TAG}>|\[/THINK\]|◁/think▷", re.IGNORECASE)
_ELEMENT = re.compile(r"<([A-Za-z]\w{0,30})>([^<]*)</\1>")


def spoken(reply: str) -> tuple[str, bool]:
    """Return a reply without its reasoning, and whether that was clearly delimited."""
    begins = 0
    while opening := _OPENS.match(reply, begins):
        closing = _CLOSES.search(reply, opening.end())
        if closing is None:
            return "", True
        begins = closing.end()
    closings = [closing.end() for closing in _CLOSES.finditer(reply, begins)]
    return (reply[closings[-1] :], False) if closings else (reply[begins:], True)


def unwrapped(text: str) -> str:
    """Return the content of a code fence, an element or quotes that enclose the whole text."""
    text = text.strip().strip("*").strip()
    for fence in ("```", "~~~", "`"):
        if text.startswith(fence):
            text = text.removesuffix(fence).removeprefix(fence)
            head, end, rest = text.partition("\n")
            text = rest if end and (not head.strip() or head.strip().isalnum()) else text
            text = text.strip().removeprefix("json").strip()
    if element := _ELEMENT.fullmatch(text):
        return element[2].strip()
    if text.startswith('"') and text.endswith('}"'):
        try:
            held = json.loads(text)
        except ValueError:
            return text
        return held.strip() if isinstance(held, str) else text
    return text


def bare(text: str) -> str:
    """Return a text reduced to letters, digits and brackets, to compare quotes."""
    return re.sub(r"[^\w{}\[\]:,]+|_", "", unicodedata.normalize("NFKC", text).casefold())
