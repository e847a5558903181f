"""The whole text of an answer, in a form in which texts that say the same are equal.

Folded are Unicode's spellings of a character (NFKC), quotes and dashes, Markdown's emphasis, case, white space, quotes
around the text and what ends a sentence. Signs and digits stay: ``.5``, ``-5`` and ``5`` differ, and so do ``2**3`` and
``23``.
"""

from __future__ import annotations

import re
import unicodedata

from moa_mcp.extraction.folding import QUOTES_AND_DASHES, folded

_OPENS = re.compile(r"(?<![\w*_~`])(?:[*`~]{1,3}|_{1,2})(?=[^\W_]|[\"'(\[.,$+-])")
_CLOSES = re.compile(r"(?<=[^\s*_~`])(?:[*`~]{1,3}|_{1,2})(?![\w*_~`])")
_AROUND = " \"'*_`"
_CLOSING = f"{_AROUND}.!?,;:\u3002\u2026"


def whole_text(answer: str) -> str | None:
    """Return the text folded; None if nothing is left of it."""
    text = _without_emphasis(folded(answer))
    text = unicodedata.normalize("NFKC", text.translate(QUOTES_AND_DASHES).casefold())
    return " ".join(text.split()).rstrip(_CLOSING).lstrip(f"{_AROUND}\u00a1\u00bf") or None


def _without_emphasis(text: str) -> str:
    return _CLOSES.sub("", _OPENS.sub("", text))
