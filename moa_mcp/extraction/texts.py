"""Normalizes the whole text of an answer, so that texts with the same content are equal.

It normalizes Unicode variants of characters (NFKC), quotes, dashes, Markdown emphasis, case, white space, and
punctuation at the end. It removes what encloses the whole text: quotes, boxes, answer tags, dollar signs, fences. Signs
and digits stay: ``.5``, ``-5`` and ``5`` differ, and so do ``2**3`` and ``23``, ``5!`` and ``5``, ``A*`` and ``A``.
"""

from __future__ import annotations

import re
import unicodedata

from moa_mcp.extraction.folding import QUOTES_AND_DASHES, folded

_EMPHASISED = re.compile(
    r"(?<![\w*_~`])([*`~]{1,3}|_{1,2})(?=[^\W_]|[\"'(\[{<\\.,$+*`~_-])((?:(?!\1).){1,2000})(?<=[^\s])\1(?![\w*_~`])",
    re.DOTALL,
)
_FENCED = re.compile(r"```[\w+-]{0,20}\n(.*?)\n?```", re.DOTALL)
_TAGGED = re.compile(
    r"<(final[_-]?answer|answer|final|result|b|strong|i|em|u|p|code|div|span)>((?:(?!</\1>).)*)</\1>",
    re.DOTALL | re.IGNORECASE,
)
_SET = re.compile(
    r"\$\$(?P<display>[^$]+)\$\$|\$(?P<inline>[^$]+)\$|\\\((?P<round>(?:(?!\\\)).)+)\\\)|\\\[(?P<square>(?:(?!\\\]).)+)\\\]",
    re.DOTALL,
)
_COMMAND = re.compile(
    r"\\(?:boxed|fbox|text(?:bf|it|rm|tt|sf)?|math(?:rm|bf|it|sf|tt|bb)|mbox|boldsymbol|bm|emph|underline"
    r"|operatorname)\s?\{"
)
_LINE_MARK = re.compile(r"(?:#{1,6}|>|[-*\u2022](?=\s[^\W\d]))\s(?=\S)")
_BRACE = re.compile(r"(?<!\\)[{}]")
_MOST_LAYERS = 8
"""Maximum enclosing layers removed from a text."""

_QUOTES = "\"'`"
_AROUND = " \"'*_`"
_CLOSING = f"{_AROUND}.!?,;:\u3002\u2026"
_TERM = re.compile(r"(?:^|[^\w])[^\W\d_]$|[\d)\]}]$")
"""Terms that a following sign belongs to: ``5!``, ``A*``, ``f'``."""
_WORDS = re.compile(r"[^\W\d_]{2}")
"""Words, after which a ``!`` ends a sentence."""


def whole_text(answer: str) -> str | None:
    """Return the normalized text; None if nothing is left of it."""
    text = _unwrapped(folded(answer).strip())
    text = unicodedata.normalize("NFKC", text.translate(QUOTES_AND_DASHES).casefold())
    return _without_ending(_unquoted(" ".join(text.split()))).lstrip(f"{_QUOTES} \u00a1\u00bf") or None


def _unwrapped(text: str) -> str:
    """Return the text without what encloses all of it, and without emphasis."""
    for _ in range(_MOST_LAYERS):
        inside = _layer_off(text)
        if inside == text:
            break
        text = inside
    return text


def _layer_off(text: str) -> str:
    if "\n" not in text and (mark := _LINE_MARK.match(text)):
        return text[mark.end() :]
    bare = text.rstrip(" .\u3002")
    for enclosed in (_FENCED, _TAGGED, _SET):
        if found := enclosed.fullmatch(bare):
            return next(group for group in reversed(found.groups()) if group is not None).strip()
    if (command := _COMMAND.match(bare)) and _closes_at(bare, command.end()) == len(bare) - 1:
        return bare[command.end() : -1].strip()
    return _EMPHASISED.sub(r"\2", text).strip()


def _closes_at(text: str, begins: int) -> int:
    """Return where the brace before a position is closed; -1 if it is not."""
    depth = 1
    for found in _BRACE.finditer(text, begins):
        depth += 1 if found[0] == "{" else -1
        if depth == 0:
            return found.start()
    return -1


def _unquoted(text: str) -> str:
    """Return the text without the quotes around all of it."""
    bare = text.rstrip(" .!?,;:\u3002\u2026")
    for _ in range(_MOST_LAYERS):
        if len(bare) < 2 or bare[0] not in _QUOTES or bare[-1] != bare[0]:  # noqa: PLR2004
            break
        text = bare = bare[1:-1]
    return text


def _without_ending(text: str) -> str:
    """Return the text without closing punctuation; signs that belong to a number or a letter stay."""
    bare = text.rstrip(_CLOSING)
    ending = text[len(bare) :].rstrip(" ")
    sign = re.match(r"[*'\"_]+" if _WORDS.search(bare) else r"[!*'\"_]+", ending)
    return bare + sign[0] if bare and sign and _TERM.search(bare[-2:]) else bare
