"""Makes untrusted text safe to show in a terminal, a page or a log.

Control characters can command a terminal, bidirectional controls can reorder text, and invisible characters can hide
text. Invisible characters with a purpose in ordinary text are kept: joiners in emoji and in scripts with joined
letters, variation selectors after characters that have variants, and the tags of flags.

- Control characters and marks for line breaks or text direction are removed. They are common in ordinary text, and a
  terminal does not need them.
- Characters that reorder or hide text are unusual in answers, so the reader is warned: a mark such as ``⟨U+202E⟩``
  replaces them. A sequence of them may encode a long hidden text, so only the first is shown.
- Every line terminator becomes a newline, so a lone carriage return can't overwrite the text before it.
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
    "\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff"  # private use and noncharacters, which have no common meaning
    "\U000e0000-\U000e00ff\U000e01f0-\U0010ffff"  # tags, the reserved characters next to them, private use
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
    "\u180b-\u180d\u180f\ufe0f\U0001f000-\U0001fbff]"  # emoji and their parts
)
_IS_REMOVED, _IS_JOINER, _IS_SELECTOR, _IS_IDEOGRAPHIC, _IS_HALF, _ENDS = (
    _compiled_late(f"[{each}]") for each in (_REMOVED, _JOINERS, _SELECTORS, _IDEOGRAPHIC, _HALVES, _ENDS_LINE)
)
_IDEOGRAPH = _compiled_late("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_VARIED = "0123456789#*©®"
_FIRST_VARIED = "\u1000"


def visible(text: str) -> str:
    """Return a whole text in a form that is safe to show."""
    pieces = Visible()
    return pieces.add(text) + pieces.end()


def quoted(name: str) -> str:
    """Return a name in quotes, with escapes for characters that can't be printed."""
    return f"'{''.join(each if each.isprintable() else repr(each)[1:-1] for each in name)}'"


class Visible:
    """Converts a text that arrives in pieces. The result is the same as for the whole text."""

    def __init__(self) -> None:
        self._held = ""
        """The start of a flag that the next piece may complete."""
        self._carried = ""
        """The last character shown, if a joiner or selector may apply to it."""
        self._marked = self._returned = False
        """Whether the last character was replaced by a mark; whether it was a carriage return."""

    def add(self, piece: str) -> str:
        """Return the text to show for this piece and for held text."""
        text = self._held + piece
        begun = _BEGUN().search(text, max(0, len(text) - 6))
        self._held = begun[0] if begun else ""
        return self._shown(text[: len(text) - len(self._held)])

    def end(self) -> str:
        """Return the held text; no piece follows."""
        held, self._held = self._held, ""
        return self._shown(held)

    def _shown(self, text: str) -> str:
        if not text:
            return ""
        if self._returned and text[0] == "\n":  # the second half of a line end that is already shown
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
        """Return the replacement for a special character, or the character itself where it is allowed."""
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
        """Whether a special character has its ordinary purpose after the last character shown."""
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
