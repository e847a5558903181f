"""Converts Markdown, HTML and LaTeX in an answer to the plain text that they display.

Emphasis stays marked: the content of a box or an answer tag is between `BOXED` and `BOXED_END`, bold text between
`BOLD` and `BOLD_END`. `SEAM` replaces other markup.
"""

from __future__ import annotations

import html
import re

from moa_mcp.extraction import latex
from moa_mcp.extraction.folding import folded
from moa_mcp.extraction.latex import BOXED, BOXED_END, SEAM, UNKNOWN

BOLD, BOLD_END = "\x11", "\x12"
MARKS = "\x01\x0e\x0f\x11\x12"

_LINK_TARGET = re.compile(r"\]\([^\s()]{0,2000}\)")
_ADDRESS = re.compile(r"(?:https?|ftp)://[^\s)>\]]+|\bwww\.[^\s)>\]]+", re.IGNORECASE)
_STRUCK = re.compile(r"~~[^~\n]{1,500}~~|<(?:s|del|strike)>[^<\n]{0,500}</(?:s|del|strike)>", re.IGNORECASE)
_NOTE = re.compile(r"\[\^[^\]\n]{1,40}\]:?|\u3010[^\u3010\u3011\n]{0,60}\u2020[^\u3010\u3011\n]{0,60}\u3011")
_CITED = re.compile(r"(?<=[\w.)%,;!?])\[\d{1,3}(?:[,\u2013-]\s?\d{1,3}){0,9}\]")
_ANSWER_TAG = re.compile(r"<(/?)(?:final[_-]?)?answer>", re.IGNORECASE)
_RAISED = re.compile(r"<sup>\s{0,5}([^<\n]{0,40}?)\s{0,5}</sup>", re.IGNORECASE)
_LOWERED = re.compile("<sub>[^<\n]{0,40}</sub>|[\u2080-\u208b]+", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/?p|/?li|/?div|/?tr|/?h[1-6])\s?/?>", re.IGNORECASE)
_IN_BOLD = re.compile(r"<(/?)(?:b|strong)>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]{0,20}(?:\s[^<>\n]{0,200})?/?>")
_BOLD = re.compile(r"(?<![*\w])\*\*(?=[^\s*])([^*\n]{1,200})\*\*|(?<![_\w])__(?=[^\s_])([^_\n]{1,200})__(?!\w)")
_POWER = re.compile(r"(?<=[\d)])\s?\*\*\s?(?=[-(\d])")
_TIMES = re.compile(r"(?<=[\w)\]])\*(?=[\w(\[])|(?<=\S )\*(?= \S)|(?<=[\d ])[xX](?=\s?10\s?(?:\^|\*\*))")
_EMPHASIS = re.compile(r"[*`]+|(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)")
_FINAL_MARK = re.compile(r"^#{4}\s?(?=[-$.\d])", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s", re.MULTILINE)
_QUOTED = re.compile(r"^(?:>\s?)+", re.MULTILINE)
_FULL_WIDTH_LIST = re.compile("(?<=[0-9])\uff0c|\uff0c(?=[0-9])")
_ONE_CHARACTER_UNIT = re.compile("[\u3300-\u33ff]")


def plain(answer: str) -> str:
    """Return the text without markup or blank lines, with marks of emphasis and normalized characters."""
    text = html.unescape(answer) if "&" in answer else answer
    text = _LOWERED.sub(UNKNOWN, _FULL_WIDTH_LIST.sub(", ", _ONE_CHARACTER_UNIT.sub(" ", text)))
    text = "\n".join(line for line in map(str.strip, folded(text).split("\n")) if line)
    if "<" in text:
        text = _without_tags(text)
    if "[" in text:
        text = _CITED.sub(SEAM, _LINK_TARGET.sub(f"]{SEAM}", _NOTE.sub(SEAM, text)))
    text = _HEADING.sub("", _FINAL_MARK.sub("answer: ", _QUOTED.sub("", _ADDRESS.sub(" ", text))))
    return _without_emphasis(latex.plain(text))


def _without_tags(text: str) -> str:
    text = _ANSWER_TAG.sub(lambda tag: BOXED_END if tag[1] else BOXED, _STRUCK.sub(" ", text))
    text = _IN_BOLD.sub(lambda tag: BOLD_END if tag[1] else BOLD, _RAISED.sub(_raised, text))
    return _TAG.sub(SEAM, _BREAK.sub("\n", text))


def _raised(found: re.Match[str]) -> str:
    """Return a power, or a seam for a footnote mark."""
    return f"^{found[1]}" if re.fullmatch(r"[-+\u2212]?[\dA-Za-z]+", found[1]) else SEAM


def _without_emphasis(text: str) -> str:
    if "~~" in text:
        text = _STRUCK.sub(" ", text)
    text = _BOLD.sub(lambda found: f"{BOLD}{found[1] or found[2]}{BOLD_END}", text)
    return _EMPHASIS.sub(SEAM, _TIMES.sub("\u00d7", _POWER.sub("^", text)))
