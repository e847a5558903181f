"""Reads errors in XML, and web pages of proxies and gateways. Pure."""

from __future__ import annotations

import re
from html import unescape
from typing import NamedTuple

_NAME = r"(?:[\w.-]{1,40}:)?"
_TEXTS = "(?:error_?)?message|faultstring|reason|text|description|error_?description|detail|title|msg|error"
_MESSAGE = re.compile(rf"<{_NAME}(?P<name>{_TEXTS})(?:\s[^<>]{{0,200}})?>\s*([^<\s][^<]{{0,2000}})</", re.IGNORECASE)
_CODE = re.compile(rf"<{_NAME}(?:error_?|fault)?code(?:\s[^<>]{{0,200}})?>\s*([^<]{{1,200}}?)\s*</", re.IGNORECASE)
_PAGE = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_TITLE = re.compile(r"<(?:title|h1)\b[^>]{0,200}>\s*([^<\s][^<]{0,300})<", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.{0,2000}?)\]\]>", re.DOTALL)
_UNSEEN = re.compile(
    r"<(script|style|svg)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL
)
_MOST = 200
"""Maximum characters shown of a page without a title."""


class Explanation(NamedTuple):
    """The message and the code of an error; the code may be empty."""

    words: str
    code: str = ""


def read(text: str) -> Explanation:
    """Return the message of an XML error, or the title of a web page, which often names the proxy."""
    if _PAGE.search(text):
        titles = list(dict.fromkeys(_plain(each[1]) for each in _TITLE.finditer(text)))
        words = " - ".join(titles[:2]) or _visible(text)
        return Explanation("a web page instead of an answer" + (f": {words}" if words else ""))
    text = _CDATA.sub(lambda each: each[1].replace("<", "&lt;"), text)
    found = next(iter(sorted(_MESSAGE.finditer(text), key=_rank)), None)
    code = _CODE.search(text)
    words = _plain(found[2]) if found else _visible(text)
    return Explanation(words or "markup instead of an answer", _plain(code[1]) if code else "")


def _rank(found: re.Match[str]) -> int:
    """Return the rank of an element: lower ones are more informative."""
    return _TEXTS.split("|").index(
        next(each for each in _TEXTS.split("|") if re.fullmatch(each, found["name"], re.IGNORECASE))
    )


def _visible(text: str) -> str:
    words = _plain(_UNSEEN.sub(" ", text))
    return words if len(words) <= _MOST else words[: _MOST - 1] + "\u2026"


def _plain(text: str) -> str:
    return " ".join(unescape(text).split())
