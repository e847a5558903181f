"""Finds pieces of a text that are written like numbers, and their values.

A piece is all that is written together: digits, and what joins them to other digits (``3,5``, ``1/2``, ``2024-05-17``,
``6 × 7``, ``3 to 5``). It has one value or none; a part of it is never read as a number. `numbers` decides which piece
counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

from msgspec import Struct

from moa_mcp.extraction import words
from moa_mcp.extraction.bounds import DASHES, LETTER, is_denied, is_other_value, is_set_aside
from moa_mcp.extraction.latex import UNREADABLE
from moa_mcp.extraction.markup import MARKS
from moa_mcp.extraction.numerals import DecimalMark, Exact, calculable, negated
from moa_mcp.extraction.runs import JOINT, DigitRun, M, is_chance, value_of

_DASH = f"\\{DASHES}"
_SCAN = re.compile(
    rf"(?P<name>[{LETTER}](?:[{LETTER}]++|\d++(?:[.,:]\d++)*+|['\u2019_](?=[{LETTER}\d])|[{_DASH}](?=\d)"
    rf"|\^[-+\u2212]?(?:\d++|\(\d++\)|[{LETTER}]))*+)"
    r"|(?P<digits>(?:(?<![.\d])\.)?\d++(?:[.,'\u2019\u066b_]++\d++| \d++)*+)"
    r"(?:[eE](?P<tens>[-+\u2212]?\d++)|\s?\^\s?(?:\((?P<inner>[-+\u2212]?\d++)\)|(?P<outer>[-+\u2212]?\d++)))?"
    rf"|(?P<unreadable>[{UNREADABLE}\u03c0\u221a\u221b\u221e])"
)

_MEASURED = rf"(?:\s?%|\s?\u00b0[CF]?|\s?(?:{words.UNITS})(?:\^\d)?(?![{LETTER}\d]))?"
_SIGNS = rf"+\u00d7\u00f7\u00b7/^*{_DASH}"
_JOINING = (
    rf"\s?[{_SIGNS}~]\s?[+{_DASH}]?",  # 6 × 7, 1/2, 5 - 10
    rf"\s[+{_DASH}]",  # 9 -4
    r"\s?\u00b1\s?",
    r"\s?[xX]\s?",
    r":|\s:\s",  # times and ratios
    r"[\u2014.]|\s?\.{2,3}\s?",  # ranges
    rf"[).]?\(|\)?\s?[{_SIGNS}]\s?\(?",  # 0.(3), 2(3), (2)^3
    r"\u5206[\u306e\u4e4b]",  # parts of
    rf"[^\s\w,;|=<>\u2248\u2245\u2243\u21d2\u2192\u3001()\[\]\"'\u2019{MARKS}]{{1,3}}",  # others, without spaces
)
_OPERATOR = re.compile(rf"{M}*{_MEASURED}(?:{'|'.join(_JOINING)})?{M}*")
_BETWEEN = re.compile(rf"{M}*{_MEASURED}\s?(?:{words.BETWEEN_NUMBERS})\s?{M}*(?:[{LETTER}]\s?=\s?)?{M}*", re.IGNORECASE)
_COMPOUND = re.compile(
    rf"{M}*\s?(?:(?:{words.SCALES}|{words.MAJOR_UNITS}),?"
    rf"|[\u00b0\u2032'\u5e74\u6708\u65e5\u6642\u65f6\u5206\u70b9\u9ede])"
    rf"\s?(?:(?:{words.AND})\s)?{M}*",
    re.IGNORECASE,
)
_COMMA = re.compile(rf"{M}*\s?[,;]\s?[{_DASH}]?{M}*")
LONGEST_GAP = 30

_SIGN = re.compile(rf"(?P<sign>[+\u00b1\u2014\u2015{_DASH}])(?P<space> ?)$")
_MINUS_WORD = re.compile(rf"(?:^|[^{LETTER}])(?:{words.MINUS})\s?$", re.IGNORECASE)
_UNKNOWN_OPERAND = re.compile(
    rf"[{LETTER}\d)\]\u03c0](?:\s?[\u00d7\u00f7\u00b7/^\u221a]\s?|[+\u2212]\s?|\s\+\s)$"
    rf"|(?:^|[^{LETTER}])[{LETTER}](?:\^?\d+)?\s[-\u2013\u2212]\s$|[)\]]\s?[{_DASH}]\s?$|::$"
)
_MONTH_BEFORE = re.compile(
    rf"\b(?:{words.MONTHS})\.?,?(?:\sde|\sof)?\s$|(?:上午|下午|午前|午後|오전|오후)\s?$"  # or half of the day
)
_MONTH_AFTER = re.compile(rf"(?:\.|st|nd|rd|th)?\s(?:de\s|of\s)?(?:{words.MONTHS})\b")

_UNIT = re.compile(rf"(?:{words.UNITS})(?:\^[-\d]\d*)?(?![{LETTER}\d])")
_SCALE = re.compile(rf"\s?(?P<word>{words.SCALES}|{words.DOZEN})(?![{LETTER}])", re.IGNORECASE)
_DOZEN = re.compile(words.DOZEN, re.IGNORECASE)
_CLOCK = re.compile(r"\s?[ap]\.?m\b", re.IGNORECASE)
_BROKEN_OFF = re.compile(
    rf"[\^_\u221a\u03c0]|\.\(|\.[a-z]|\(\d|,[{LETTER}]|\)?\s?[\u00d7\u00f7\u00b7+*/]\s?[(\u221a\u03c0]"
    rf"|\)?\s?[\u00d7\u00f7\u00b7+]\s?[{LETTER}]|\s?[{_DASH}]\s?[{LETTER}](?![{LETTER}'\u2019-])|\)\s?\^"
    rf"|/(?![sdhmglL](?![{LETTER}]))[{LETTER}](?![{LETTER}])|\s\u00b1|\s?[eE][-+]?\d"
)
_LETTER_FOLLOWS = re.compile(f"[{LETTER}]")
_ON_GOES = re.compile(r"\.{3}|\u2026")

_DISPUTED = re.compile(rf"\s?(?:{words.SCALES_IN_DISPUTE})(?![{LETTER}])")

_GROUP = re.compile(r"[1-9]\d{0,2},\d{3}")
_NEAR = 24
"""Characters before and after a piece that are examined for signs and units."""
_FAR = 80
"""Characters before and after a piece that are examined for words."""


class Piece(Struct, frozen=True, dict=True):
    """Text that is written like a number, in one piece; its value is only computed if it may count."""

    text: str
    runs: Sequence[DigitRun]
    mark: DecimalMark

    @property
    def start(self) -> int:
        """The start of the piece in the text."""
        return self.runs[0].start

    @property
    def end(self) -> int:
        """The end of the piece in the text."""
        return self.runs[-1].end

    @property
    def before(self) -> str:
        """The text right before the piece."""
        return self.text[max(0, self.start - _NEAR) : self.start]

    @property
    def after(self) -> str:
        """The text right after the piece."""
        return self.text[self.end : self.end + _NEAR].lstrip(MARKS)

    @property
    def around(self) -> tuple[str, str]:
        """The words before and after the piece."""
        return self.text[max(0, self.start - _FAR) : self.start], self.text[self.end : self.end + _FAR]

    @cached_property
    def is_denied(self) -> bool:
        """Whether the text denies that this is the value."""
        return is_denied(*self.around)

    @cached_property
    def is_void(self) -> bool:
        """Whether the piece is denied, a former answer, or a confidence."""
        return self.is_denied or is_set_aside(*self.around)

    @cached_property
    def value(self) -> Exact | None:
        """The value; None if the piece is not one number."""
        value = value_of(self.text, self.runs, self.mark)
        if value is None or _is_part_of_more(self) or is_other_value(*self.around):
            return None
        scale = _SCALE.match(self.after)
        if scale is None:
            return _signed(value, self.before, self.after)
        fraction = calculable(value)
        return fraction and _signed(fraction * _scale(scale["word"]), self.before, self.after)


def _scale(word: str) -> int:
    return 12 if _DOZEN.fullmatch(word) else 10 ** words.scale(word)


def pieces(text: str, mark: DecimalMark) -> Iterator[Piece]:
    """Yield the pieces of a text, in order."""
    runs: list[DigitRun] = []
    lists = False  # whether commas belong to the piece, as those of a pair or a date do
    for run in _runs(text):
        gap = text[runs[-1].end : run.start] if runs and run.start - runs[-1].end <= LONGEST_GAP else None
        if gap is not None and (_is_joint(gap) or (lists and _COMMA.fullmatch(gap)) or is_chance(runs[-1], gap, run)):
            runs.append(run)
            continue
        if runs:
            yield Piece(text, runs, mark)
        runs = [run]
        before = seamless(text[max(0, run.start - _NEAR) : run.start])
        lists = before.rstrip(f"{DASHES} ")[-1:] in {"(", "["} or bool(_MONTH_BEFORE.search(before))
    if runs:
        yield Piece(text, runs, mark)


def _runs(text: str) -> Iterator[DigitRun]:
    for found in _SCAN.finditer(text):
        if found.lastgroup != "name":
            tens, power_of = found["tens"] or "", found["inner"] or found["outer"] or ""
            yield DigitRun(found.start(), found.end(), found["digits"] or "", tens, power_of)


@lru_cache(maxsize=1024)
def _is_joint(gap: str) -> bool:
    """Whether the text between two runs of digits joins them into one piece."""
    return any(joint.fullmatch(gap) for joint in (_OPERATOR, JOINT, _BETWEEN, _COMPOUND))


def seamless(before: str) -> str:
    """Return a text without markup marks."""
    return before.translate(dict.fromkeys(map(ord, MARKS)))


def _is_part_of_more(piece: Piece) -> bool:
    """Whether digits are a part of something else: a name, an expression, a date, a time or a pair."""
    before, after = seamless(piece.before), piece.after
    if any(goes_on.match(after) for goes_on in (_BROKEN_OFF, _CLOCK, _DISPUTED, _MONTH_AFTER)):
        return True
    if _LETTER_FOLLOWS.match(after) and not (_UNIT.match(after) or _SCALE.match(after)):
        return True
    digits = piece.runs[0].digits
    return bool(
        _UNKNOWN_OPERAND.search(before)
        or _MONTH_BEFORE.search(before)
        or (_ON_GOES.match(after) and not digits.isdigit())
        or _is_pair(before.rstrip(f"{DASHES}+")[-2:], digits, after, piece.mark)
    )


def _is_pair(left: str, digits: str, after: str, mark: DecimalMark) -> bool:
    """Whether a comma separates two values rather than digits of one: ``(3,5)``, ``(x,5)``."""
    if left[-1:] == "," and left[:1].strip():
        return True
    in_brackets = left[-1:] in {"(", "["} and after[:1] in {")", "]"}
    divides = digits.count(",") == 1 and "." not in digits and not _GROUP.fullmatch(digits)
    return in_brackets and divides and mark == "point"


def _signed(value: Exact, before: str, after: str) -> Exact | None:
    """Return a value with the sign before it; None if the sign is ambiguous."""
    before = before.rstrip(MARKS)
    if before.endswith("(") and (outer := _SIGN.search(before[:-1].rstrip(MARKS))):  # -(3)
        if not after.lstrip(" ").startswith(")"):
            return None
        return negated(value) if outer["sign"] in DASHES else value
    if _MINUS_WORD.search(seamless(before)):
        return negated(value)
    sign = _SIGN.search(before)
    if sign is None:
        return value
    left = seamless(before[: sign.start()]).rstrip(" ")[-1:]
    if sign["sign"] == "\u00b1" or (left in {"+", *DASHES} and not sign["space"]):
        return None
    return negated(value) if _negates(sign, left) else value


def _negates(sign: re.Match[str], left: str) -> bool:
    """Whether a sign is a minus; a dash may also be punctuation or a list marker."""
    match sign["sign"]:
        case "+":
            return False
        case "\u2014" | "\u2015":
            return left in {"", "\n", "=", "(", ":"} and not sign["space"]
        case "\u2212" if sign["space"]:
            return not left.isalnum()
        case _:
            return not sign["space"] or left in {"=", "("}
