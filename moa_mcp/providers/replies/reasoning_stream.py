"""Returns the part of an arriving text that is certainly the answer, so that no reasoning is shown as one.

It may hold text back, and never returns too much. Held text is returned at the end, when `reasoning.split` determines
the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from moa_mcp.providers.replies import interleaved
from moa_mcp.providers.replies.reasoning_marks import FAMILIES, OPENING, TAGS, closings
from moa_mcp.text.surrogates import mended

_BEGINNINGS: Sequence[str] = (
    *(f"<{family}{tag}" for family in ("", *FAMILIES) for tag in TAGS),
    *("[think", "◁think▷", "<|", "<unused94>", '<details type="reasoning"', "<answer>", "<response>", "<output>"),
    *("<final", "<solution>", "here is my thought process:", "here's my thought process:", "*thinking", "thinking..."),
    "here\u2019s my thought process:",
)
"""Beginnings, in lower case, of a text that does not begin with the answer."""
_BARE_CHANNEL = re.compile(r"(?:assistant)?analysis(?:[A-Za-z]|\Z)")
_TAIL = re.compile(r"(?:(?:<\|channel>\s*\w{0,10}|[<\uff1c][^\s<>]{0,40}>?|\[/?[A-Z]{0,8}|◁\w{0,6})\s*)+\Z")
"""The end of a piece that may begin an end-of-turn token or reasoning."""
_LONGEST_TAIL = 400
_LONGEST_TAG = 260


class Arriving:
    """The answer in a text that arrives in pieces."""

    def __init__(self) -> None:
        self._begun = False
        """Whether the answer has begun, so that further text is returned as it arrives."""
        self._hidden = False
        """Whether the answer can only be determined at the end, because of how the text began."""
        self._thought = False
        """Whether reasoning has arrived."""
        self._closing: re.Pattern[str] | None = None
        """The closing mark of the current reasoning."""
        self._half: str = ""
        """The first half of a surrogate pair whose second half is in the next piece."""
        self._held = ""
        self._shown: list[str] = []

    def take(self, piece: str) -> str:
        """Add the next piece; return the text of the answer that can be shown, perhaps none."""
        if self._hidden:
            return ""
        piece = self._half + piece
        self._half = ""
        if "\ud800" <= piece[-1:] <= "\udbff":
            self._half = piece[-1]
            piece = piece[:-1]
        self._held += mended(piece)
        if not self._begun:
            self._begin()
        return self._release() if self._begun else ""

    def skip_blanks(self) -> None:
        """Record that reasoning arrived separately, so that blanks before the answer are skipped."""
        self._thought = True

    def end(self, answer: str) -> str:
        """Return the rest of the answer; nothing if the final answer does not continue the text returned so far."""
        shown = "".join(self._shown)
        return answer[len(shown) :] if answer.startswith(shown) else ""

    def _begin(self) -> None:
        """Decide whether the held text begins the answer or reasoning."""
        while self._closing is None or self._closed():
            head = self._held.lstrip("\ufeff\u200b \t\r\n")
            opening = OPENING.match(head)
            if opening is None:
                awaited = not head or _may_begin(head) or _is_unfinished(head)
                self._hidden = not awaited and _begins(head)
                self._begun = not (awaited or self._hidden)
                self._held = head if self._thought else self._held
                return
            self._thought = True
            self._closing = next(closings(opening))
            self._held = head[opening.end() :]

    def _closed(self) -> bool:
        """Whether the reasoning has ended. Keeps only the text after it, or what may begin its closing mark."""
        assert self._closing is not None  # noqa: S101  for the type checker
        found = next((each for each in self._closing.finditer(self._held) if not self._may_be_quoted(each)), None)
        self._held = self._held[found.end() :].lstrip() if found else self._held[-_LONGEST_TAIL:]
        if found:
            self._closing = None
        return found is not None

    def _may_be_quoted(self, tag: re.Match[str]) -> bool:
        return self._held[max(0, tag.start() - 1) : tag.start()] == "`" and self._held[tag.end() :][:1] in {"", "`"}

    def _release(self) -> str:
        sure = held = self._held.rstrip()
        if "<" in held or "[" in held or "◁" in held or "\uff1c" in held:
            before = "".join(self._shown[-_LONGEST_TAIL:])[-_LONGEST_TAIL:]
            if (thought := interleaved.may_begin(before, held)) is not None:
                self._hidden, held = True, held[:thought].rstrip()
            tail = _TAIL.search(held, max(0, len(held) - _LONGEST_TAIL))
            sure = held[: tail.start()].rstrip() if tail else held
        self._held = self._held[len(sure) :]
        if sure:
            self._shown.append(sure)
        return sure


def _may_begin(head: str) -> bool:
    """Whether this may be an incomplete beginning of reasoning."""
    low = head[:80].lower()
    return any(each.startswith(low) for each in _BEGINNINGS) or any(
        each.startswith(head) for each in ("analysis", "assistantanalysis")
    )


def _is_unfinished(head: str) -> bool:
    """Whether this is an incomplete tag that may open reasoning."""
    return (
        _begins(head)
        and head.startswith(("<", "["))
        and not set(head[:_LONGEST_TAG]) & {">", "]"}
        and (len(head) < _LONGEST_TAG)
    )


def _begins(head: str) -> bool:
    """Whether a text with this beginning must be held until its end."""
    low = head[:80].lower()
    return any(low.startswith(each) for each in _BEGINNINGS) or bool(_BARE_CHANNEL.match(head))
