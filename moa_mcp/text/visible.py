"""Text that others wrote, as a terminal, a page or a log may show it: nothing in it that acts unseen.

Control characters command a terminal, bidirectional controls show a text in another order than it has, and invisible
characters hide text within text. Where an invisible character has work to do in ordinary text, it stays: joiners in
emoji and in scripts that join, a variation selector after what it varies, the tags of a flag.

- Controls, and what only says where a line may break or which way it runs, are removed: ordinary text is full of them,
  and nobody misses them in a terminal.
- What reorders or hides text has no place in an ordinary answer, so that a reader should know of it: in place of it
  stands a mark, ``⟨U+202E⟩``. Of several in a row the first is named, since a whole text may be hidden so.
- What ends a line, in whichever way, ends it: a lone carriage return can't overwrite what stands before it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache

_ENDS_LINE = "\r\x0b\x0c\x85\u2028\u2029"
_REMOVED = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
    "\u00ad\u061c\u17b4\u17b5\u180e\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_JOINERS = "\u034f\u180b-\u180d\u180f\u200c\u200d"
_SELECTORS = "\ufe00-\ufe0f"
_IDEOGRAPHIC = "\U000e0100-\U000e01ef"
_HIDDEN = (
    "\u202a-\u202e\u2066-\u2069"  # bidirectional embeddings, overrides and isolates
    "\u115f\u1160\u3164\uffa0\ufff0-\ufffb"  # fillers that show nothing, annotations that hide text
    "\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff"  # private use and noncharacters: they mean nothing to anybody else
    "\U000e0000-\U000e00ff\U000e01f0-\U0010ffff"  # tags, what is reserved beside them, private use
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0xE0000, 0x10000))
)
_HALVES = "\ud800-\udfff"


def _compiled_late(pattern: str) -> Callable[[], re.Pattern[str]]:
    """Return what compiles a pattern on first use: together they take as long as a tenth of a command's start."""
    return cache(lambda: re.compile(pattern))


_FLAG = "\U0001f3f4"
_TAGGED = ("gbeng", "gbsct", "gbwls")
"""The subdivisions whose flags are emoji: England, Scotland, Wales."""
_TAGS = [*("".join(chr(0xE0000 + ord(letter)) for letter in f"{name}\x7f") for name in _TAGGED)]
_BEGUN = _compiled_late(f"{_FLAG}[\U000e0061-\U000e007a]{{0,5}}\\Z")
_SPECIAL = _compiled_late(
    f"{_FLAG}(?:{'|'.join(_TAGS)})|\r\n|[{_ENDS_LINE}{_REMOVED}{_JOINERS}{_SELECTORS}{_IDEOGRAPHIC}{_HIDDEN}{_HALVES}]"
)

_JOINS = _compiled_late(
    "[\u0590-\u109f\u1780-\u1cff\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc"  # scripts whose letters join
    "\U00010a00-\U00011fff\U0001e800-\U0001e9ff"
    "\u180b-\u180d\u180f\ufe0f\U0001f000-\U0001fbff]"  # emoji and what stands within them
)
_IS_REMOVED, _IS_JOINER, _IS_SELECTOR, _IS_IDEOGRAPHIC, _IS_HALF, _ENDS = (
    _compiled_late(f"[{each}]") for each in (_REMOVED, _JOINERS, _SELECTORS, _IDEOGRAPHIC, _HALVES, _ENDS_LINE)
)
_IDEOGRAPH = _compiled_late("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_VARIED = "0123456789#*©®"
_FIRST_VARIED = "\u1000"


def visible(text: str) -> str:
    """Return a whole text as it may be shown."""
    pieces = Visible()
    return pieces.add(text) + pieces.end()


def quoted(name: str) -> str:
    """Return a name in quotes as it was given, with an escape for each character in it that can't be shown."""
    return f"'{''.join(each if each.isprintable() else repr(each)[1:-1] for each in name)}'"


class Visible:
    """A text that arrives in pieces; together they are shown as the whole text would be."""

    def __init__(self) -> None:
        self._held = ""
        """The beginning of a flag, which the next piece may complete."""
        self._carried = ""
        """The last character shown, if what comes next may change it or be changed by it."""
        self._marked = self._returned = False
        """Whether the last character is one that a mark stands for, or a carriage return."""

    def add(self, piece: str) -> str:
        """Return what can be shown of a piece, and of what was held back of those before."""
        text = self._held + piece
        begun = _BEGUN().search(text, max(0, len(text) - 6))
        self._held = begun[0] if begun else ""
        return self._shown(text[: len(text) - len(self._held)])

    def end(self) -> str:
        """Return what was held back; nothing follows."""
        held, self._held = self._held, ""
        return self._shown(held)

    def _shown(self, text: str) -> str:
        if not text:
            return ""
        if self._returned and text[0] == "\n":  # the line has been ended
            text = text[1:]
        self._returned = False
        shown: list[str] = []
        end = 0
        for match in _SPECIAL().finditer(text):
            if match.start() > end:
                shown.append(text[end : match.start()])
                self._carried, self._marked = text[match.start() - 1], False
            shown.append(self._one(match[0]))
            end = match.end()
        if end < len(text):
            shown.append(text[end:])
            self._carried, self._marked = text[-1], False
        self._returned = text.endswith("\r")
        return "".join(shown)

    def _one(self, special: str) -> str:
        """Return what is shown in place of something that may not be shown everywhere."""
        if self._belongs(special):
            self._carried, self._marked = special[-1], False
            return special
        self._carried = ""
        if _ENDS().match(special):
            self._marked = False
            return "\n"
        if _IS_HALF().match(special):
            self._marked = False
            return "\ufffd"
        if _IS_REMOVED().match(special) or _IS_JOINER().match(special):
            return ""
        marked, self._marked = self._marked, True
        return "" if marked else f"⟨U+{ord(special):04X}⟩"

    def _belongs(self, special: str) -> bool:
        """Whether it does in ordinary text what it is there for, after the last character shown."""
        before = self._carried
        if special.startswith(_FLAG):
            return True
        if not before:
            return False
        if _IS_JOINER().match(special):
            return _JOINS().match(before) is not None or unicodedata.category(before) == "So"
        if _IS_SELECTOR().match(special):
            return before in _VARIED or (
                before >= _FIRST_VARIED
                and unicodedata.category(before)[0] not in "CZ"
                and not _IS_SELECTOR().match(before)
            )
        return _IS_IDEOGRAPHIC().match(special) is not None and _IDEOGRAPH().match(before) is not None
