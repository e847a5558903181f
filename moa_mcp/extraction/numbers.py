"""The number that an answer comes to.

1. Numbers are whole. What is written in one piece (``3,5``, ``1/2``, ``2024-05-17``, ``2x``, ``6 × 7``, ``3 to 5``) is
   one number or none; no part of it is taken for it. Parts of names (``x_1``, ``GPT-4``, ``m²``) are no numbers.
2. The number that is said to be the answer counts: what stands in a box or an answer tag, or follows words such as "the
   answer is"; the last of them. Else the last number counts, one in bold before others of its line; numbers in brackets
   beside the text and those of labels ("step 3", ``[2]``) only where there are no others.
3. If what counts can't be read as one exact number, there is none. Units are not looked at; percent is one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from moa_mcp.extraction import markup, words
from moa_mcp.extraction.latex import BOXED, BOXED_END, UNREADABLE
from moa_mcp.extraction.markup import BOLD, BOLD_END, MARKS
from moa_mcp.extraction.numerals import DecimalMark, Exact, calculable, numeral, power, quotient, scaled, written

_LETTER = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u03bf\u03c1-\u052f\u1e00-\u1eff"
"""Of alphabets whose words stand apart; CJK and others follow digits without a space."""
_M = f"[{MARKS}]"
_DASHES = "-\u2010\u2012\u2013\u2212"
_DASH = f"\\{_DASHES}"
_SCAN = re.compile(
    rf"(?P<name>[{_LETTER}](?:[{_LETTER}]++|\d++(?:[.,:]\d++)*+|['\u2019_](?=[{_LETTER}\d])|[{_DASH}](?=\d)"
    rf"|\^[-+\u2212]?(?:\d++|\(\d++\)|[{_LETTER}]))*+)"
    r"|(?P<digits>(?:(?<![.\d])\.)?\d++(?:[.,'\u2019\u066b_]++\d++| \d++)*+)"
    r"(?:[eE](?P<tens>[-+\u2212]?\d++)|\s?\^\s?(?:\((?P<inner>[-+\u2212]?\d++)\)|(?P<outer>[-+\u2212]?\d++)))?"
    rf"|(?P<unreadable>[{UNREADABLE}\u03c0\u221a\u221b\u221e])"
)
_CURRENCY = re.compile(
    r"[$\u00a2-\u00a5\u0e3f\u20a0-\u20c0\ufdfc]|\b(?:USD|EUR|GBP|CHF|INR|JPY|CNY|RMB|RUB|BRL|CAD|AUD|Rs\.?)(?=\d)"
)

_OPERATOR = re.compile(
    rf"{_M}*(?:\s?[+\u00d7\u00f7\u00b7/:^*~{_DASH}]\s?[+{_DASH}]?|\s?\u2026\s?|\s?\.{{2,3}}\s?|\s?[xX]\s?|\s[+{_DASH}]"
    rf"|\s?\u00b1\s?|[).]?\(|\)?\s?[+\u00d7\u00f7\u00b7/^*{_DASH}]\s?\(?)?{_M}*"
)
_SLASH = re.compile(rf"{_M}*\s?/\s?{_M}*")
_TIMES = re.compile(rf"{_M}*\s?[\u00d7\u00b7xX]\s?{_M}*")
_JOINT = re.compile(rf"{_M}*\s?{_M}+\s?{_M}*")
_BETWEEN = re.compile(rf"{_M}*\s?(?:{words.BETWEEN_NUMBERS})\s?{_M}*", re.IGNORECASE)
_COMPOUND = re.compile(
    rf"{_M}*\s?(?:(?:{words.SCALES}|{words.MAJOR_UNITS}),?|[\u00b0\u2032'\u5e74\u6708\u65e5\u6642\u65f6\u5206\u70b9\u9ede])"
    rf"\s?(?:(?:{words.AND})\s)?{_M}*",
    re.IGNORECASE,
)
_COMMA = re.compile(rf"{_M}*\s?[,;]\s?[{_DASH}]?{_M}*")
_EQUALS = re.compile(rf"[=\u2248\u2245\u2243\u21d2\u2192]\s?[{_DASH}+$({MARKS}]*$")
_LONGEST_GAP = 30
_MOST_RUNS = 3
"""Of which a number may be made: a whole one, and the two of a fraction."""

_SIGN = re.compile(rf"(?P<sign>[+\u00b1\u2014\u2015{_DASH}])(?P<space> ?)$")
_MINUS_WORD = re.compile(rf"(?:^|[^{_LETTER}])(?:{words.MINUS})\s?$", re.IGNORECASE)
_UNKNOWN_OPERAND = re.compile(
    rf"(?:[{_LETTER})\]\u03c0]\s?[+\u00d7\u00f7\u00b7/^\u221a\u2212]|(?:^|[^{_LETTER}])[{_LETTER}]\s[-\u2013]|[)\]]\s?[{_DASH}])\s?$"
)
_LABEL = re.compile(rf"(?:#|\bno\.|\bnr\.?|\u7b2c|\b(?:{words.LABELS})[.:]?)\s?$", re.IGNORECASE)
_MONTH_BEFORE = re.compile(rf"\b(?:{words.MONTHS})\.?,?(?:\sde|\sof)?\s$")
_MONTH_AFTER = re.compile(rf"(?:\.|st|nd|rd|th)?\s(?:de\s|of\s)?(?:{words.MONTHS})\b")

_UNIT = re.compile(rf"(?:{words.UNITS})(?:\^[-\d]\d*)?(?![{_LETTER}\d])")
_SCALE = re.compile(rf"\s?(?P<word>{words.SCALES})(?![{_LETTER}])", re.IGNORECASE)
_CLOCK = re.compile(r"\s?[ap]\.?m\b", re.IGNORECASE)
_BROKEN_OFF = re.compile(
    rf"[\^_\u221a\u03c0]|\.\(|\.[a-z]|\(\d|,[{_LETTER}]|\)?\s?[\u00d7\u00f7\u00b7+*/]\s?[(\u221a\u03c0]"
    rf"|\)?\s?[\u00d7\u00f7\u00b7+]\s?[{_LETTER}]|\s?[{_DASH}]\s?[{_LETTER}](?![{_LETTER}'\u2019-])|\)\s?\^"
    rf"|/(?![sdhmglL](?![{_LETTER}]))[{_LETTER}](?![{_LETTER}])|\s\u00b1"
)
_LETTER_FOLLOWS = re.compile(f"[{_LETTER}]")
_ON_GOES = re.compile(r"\.{3}|\u2026")

_OF_NAME = re.compile(rf"[{_LETTER}]\($")

_NORMAL, _ASIDE, _LABELLED = range(3)


class _Run(NamedTuple):
    """Digits in a row, with what belongs to them."""

    start: int
    end: int
    digits: str
    """Empty for a sign that stands for a number, such as a root."""
    tens: str
    """The power of ten that they are taken times."""
    exponent: str
    """The power to which they are taken."""

    @property
    def is_power_of_ten(self) -> bool:
        return self.digits == "10" and bool(self.exponent)

    def value(self, mark: DecimalMark) -> Exact | None:
        """Return the value, if it is one number."""
        value = numeral(self.digits.replace("\u2019", "'"), mark) if self.digits else None
        if value is None or not (self.tens or self.exponent):
            return value
        if self.exponent:
            return power(value, self.exponent.replace("\u2212", "-"))
        return scaled(value, self.tens.replace("\u2212", "-"))


class _Claim(NamedTuple):
    """What is said to be the answer."""

    start: int
    value: Exact | None


@dataclass(frozen=True)
class _Piece:
    """What is written like a number in one piece; it is read only if it may count."""

    text: str
    runs: Sequence[_Run]
    mark: DecimalMark

    @property
    def start(self) -> int:
        return self.runs[0].start

    @property
    def end(self) -> int:
        return self.runs[-1].end

    @cached_property
    def value(self) -> Exact | None:
        """None if it is no single number."""
        value = _value(self.text, self.runs, self.mark) if len(self.runs) <= _MOST_RUNS else None
        if value is None:
            return None
        before, after = self.text[max(0, self.start - 24) : self.start], self.text[self.end : self.end + 24]
        return _in_its_place(value, before, after.lstrip(MARKS), self.runs[0].digits, self.mark)

    @cached_property
    def tier(self) -> int:
        """Whether it stands in the text, in brackets beside it, or counts something of the text itself."""
        if _is_labelled(self.text, self.start, self.end):
            return _LABELLED
        return _ASIDE if _is_aside(self.text, self.start, self.end) else _NORMAL


def last_number(answer: str, mark: DecimalMark = "point") -> str | None:
    """Return the number that an answer comes to, in one way of writing it."""
    text = _CURRENCY.sub("\x01", markup.plain(answer))
    pieces = list(_pieces(text, mark))
    if not pieces:
        return None
    claim = _claim(text, pieces)
    value = _last(text, pieces).value if claim is None else claim.value
    return None if value is None else written(value)


def _pieces(text: str, mark: DecimalMark) -> Iterator[_Piece]:
    """Yield what is written like numbers, in order."""
    runs: list[_Run] = []
    lists = False  # whether commas belong to the piece, as those of a pair or a date do
    for run in _runs(text):
        gap = text[runs[-1].end : run.start] if runs and run.start - runs[-1].end <= _LONGEST_GAP else None
        if gap is not None and (_is_joint(gap) or (lists and _COMMA.fullmatch(gap))):
            runs.append(run)
            continue
        if runs:
            yield _Piece(text, runs, mark)
        runs = [run]
        before = _seamless(text[max(0, run.start - 24) : run.start])
        lists = before.rstrip(f"{_DASHES} ")[-1:] in {"(", "["} or bool(_MONTH_BEFORE.search(before))
    if runs:
        yield _Piece(text, runs, mark)


def _runs(text: str) -> Iterator[_Run]:
    for found in _SCAN.finditer(text):
        if found.lastgroup != "name":
            tens, power_of = found["tens"] or "", found["inner"] or found["outer"] or ""
            yield _Run(found.start(), found.end(), found["digits"] or "", tens, power_of)


def _is_joint(gap: str) -> bool:
    """Whether what stands between two runs of digits makes one piece of them."""
    return any(joint.fullmatch(gap) for joint in (_OPERATOR, _JOINT, _BETWEEN, _COMPOUND))


def _value(text: str, runs: Sequence[_Run], mark: DecimalMark) -> Exact | None:
    """Return the value of runs of digits that are one piece; None if that is no number."""
    gaps = [text[one.end : other.start] for one, other in zip(runs, runs[1:], strict=False)]
    match [run.value(mark) for run in runs]:
        case [value]:
            return value
        case [None, Decimal() as below] if _SLASH.fullmatch(gaps[0]) and " " in runs[0].digits:
            whole, _, above = runs[0].digits.rpartition(" ")
            return _mixed(numeral(whole), numeral(above), below)
        case [Decimal() as whole, Decimal() as above, Decimal() as below] if _JOINT.fullmatch(
            gaps[0]
        ) and _SLASH.fullmatch(gaps[1]):
            return _mixed(whole, above, below)
        case [above, below] if above is not None and below is not None and _SLASH.fullmatch(gaps[0]):
            return quotient(above, below)
        case [Decimal() as factor, Decimal() as tens] if runs[1].is_power_of_ten and _TIMES.fullmatch(gaps[0]):
            return scaled(factor, str(tens.adjusted()))
        case _:
            return None


def _mixed(whole: Decimal | None, above: Decimal | None, below: Decimal) -> Exact | None:
    """Return a whole number and a proper fraction."""
    if whole is None or above is None or not 0 < above < below or any(each % 1 for each in (whole, above, below)):
        return None
    sum_of = calculable(whole)
    fraction = quotient(above, below)
    return None if sum_of is None or fraction is None else sum_of + fraction


def _in_its_place(value: Exact, before: str, after: str, digits: str, mark: DecimalMark) -> Exact | None:
    """Return a value with its sign and scale; None if what stands around it makes it a part of something else."""
    if _UNKNOWN_OPERAND.search(_seamless(before)) or _broken_off(before, after, digits, mark):
        return None
    scale = _SCALE.match(after)
    if scale is not None:
        fraction = calculable(value)
        if fraction is None:
            return None
        value = fraction * 10 ** words.scale(scale["word"])
    return _signed(value, before, after)


def _seamless(before: str) -> str:
    return before.translate(dict.fromkeys(map(ord, MARKS)))


def _broken_off(before: str, after: str, digits: str, mark: DecimalMark) -> bool:
    """Whether digits go on as something that is no number, or are a date, a time or a pair."""
    if _BROKEN_OFF.match(after) or _CLOCK.match(after) or _DISPUTED.match(after):
        return True
    if _LETTER_FOLLOWS.match(after) and not (_UNIT.match(after) or _SCALE.match(after)):
        return True
    if _MONTH_AFTER.match(after) or _MONTH_BEFORE.search(before):
        return True
    if _ON_GOES.match(after) and not digits.isdigit():
        return True
    left = before.rstrip(f"{MARKS}{_DASHES}+")[-2:]
    if left[-1:] == "," and left[:1].strip():
        return True
    pair = digits.count(",") == 1 and mark == "point" and not re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits)
    return pair and "." not in digits and left[-1:] in {"(", "["} and after[:1] in {")", "]"}


_DISPUTED = re.compile(rf"\s?(?:{words.SCALES_IN_DISPUTE})(?![{_LETTER}])")


def _signed(value: Exact, before: str, after: str) -> Exact | None:
    before = before.rstrip(MARKS)
    opened = before.endswith("(")
    if opened and (outer := _SIGN.search(before[:-1].rstrip(MARKS))):  # -(3)
        if not after.lstrip(" ").startswith(")"):
            return None
        return -value if outer["sign"] in _DASHES else value
    if _MINUS_WORD.search(_seamless(before)):
        return -value
    sign = _SIGN.search(before)
    if sign is None or sign["sign"] == "+":
        return value
    left = _seamless(before[: sign.start()])
    if sign["sign"] == "\u00b1":
        return None
    if sign["space"]:
        negates = left.rstrip()[-1:] in {"=", "("} or (sign["sign"] == "\u2212" and not left.rstrip()[-1:].isalnum())
        return -value if negates else value
    if sign["sign"] in "\u2014\u2015":
        return -value if left.rstrip()[-1:] in {"", "\n", "=", "(", ":"} or left[-1:] == "\n" else value
    return -value


def _is_labelled(text: str, start: int, end: int) -> bool:
    """Whether a number is that of a step, a note, a line of a list, or what a function is taken of."""
    before = text[max(0, start - 24) : start]
    after = text[end : end + 4].lstrip(MARKS)
    seen = _seamless(before)
    lists = seen[seen.rfind("\n") + 1 :].strip(" (") == "" and re.match(r"[.)]\s\S", after)
    cited = seen.endswith("[") and after.startswith("]")
    return (
        bool(lists and (start < len(before) + 1 or "\n" in before))
        or cited
        or bool(_LABEL.search(seen) or _OF_NAME.search(seen))
    )


_ASIDE_REACH = 200


def _is_aside(text: str, start: int, end: int) -> bool:
    """Whether a number stands in brackets together with other things."""
    left = text[max(0, start - _ASIDE_REACH) : start]
    left = left[left.rfind("\n") + 1 :]
    opened = left.rfind("(")
    if opened < 0 or left.rfind(")") > opened:
        return False
    alone = left[opened + 1 :].strip(f"{MARKS}{_DASHES}+\u2212 ") == "" and text[end : end + 12].lstrip(
        f"{MARKS}% "
    ).startswith(")")
    if not alone:
        return left[:opened].strip(f"{MARKS} ") != ""
    return bool(re.search(r"\d[\s%\x01]{0,3}$", left[:opened]))


def _last(text: str, pieces: Sequence[_Piece]) -> _Piece:
    """Return the last number: of those in the text, else of those in brackets, else of labels."""
    found: dict[int, _Piece] = {}
    for piece in reversed(pieces):
        if found.setdefault(piece.tier, piece).tier == _NORMAL:
            break
    last = found[min(found)]
    if last.tier != _NORMAL or _EQUALS.search(text[max(0, last.start - 12) : last.start]):
        return last
    line_start = text.rfind("\n", 0, last.start)
    for piece in reversed(pieces):
        if piece.start < line_start:
            break
        if _is_bold(text, piece):
            return piece
    return last


def _is_bold(text: str, piece: _Piece) -> bool:
    """Whether a number, with a sign and a unit at most, is all that a part in bold holds."""
    before, after = text[max(0, piece.start - 12) : piece.start], text[piece.end : piece.end + 24]
    opened, closed = before.rfind(BOLD), after.find(BOLD_END)
    return opened >= 0 and closed >= 0 and not before[opened + 1 :].strip(f"{MARKS}{_DASHES}+(\u2248= ")


# What is said to be the answer

_BOX = re.compile(f"{BOXED}|{BOXED_END}")
_CUE = re.compile(rf"\b(?:{words.ANSWER})\b|(?:{words.ANSWER_UNSPACED})", re.IGNORECASE)
_COPULA = re.compile(rf"(?:(?<=\s)|\b)(?:{words.COPULA})(?![{_LETTER}])|(?:{words.COPULA_UNSPACED})|\n", re.IGNORECASE)
_SENTENCE_END = re.compile(rf"[.!?](?={_M}*(?:\s|$))|[\u3002;\n]|\.{_M}*$")
_BEGINS = re.compile(rf"(?:\s|{_M}|[:=>*])*")
_DIRECTLY = re.compile(
    rf"\W*(?:(?:{words.COPULA}|the|a|an|about|approximately|approx|roughly|exactly|simply|just|therefore|thus|then|indeed"
    rf"|ca|etwa|environ|circa|около|примерно|约|約|minus|negative|[{_LETTER}](?=\s?=)|US|value|number|of|der|die|das|la|el|le)"
    r"\W*){0,6}",
    re.IGNORECASE,
)
_DENIED = re.compile(rf"\W*(?:{words.NOT})(?![{_LETTER}])", re.IGNORECASE)
_VOID = re.compile(rf"\b(?:{words.VOID}|{words.IF})(?:\s[^\s]{{1,12}}){{0,2}}\s?$", re.IGNORECASE)
_REACH = 300
_COPULA_REACH = 60


def _claim(text: str, pieces: Sequence[_Piece]) -> _Claim | None:
    """Return what is last said to be the answer; None if nothing is."""
    starts = [piece.start for piece in pieces]
    boxed = _boxed(text, pieces, starts)
    for cue in reversed([*_CUE.finditer(text)]):
        if boxed is not None and cue.start() < boxed.start:
            break
        if (stated := _stated(text, cue, pieces, starts)) is not None:
            return stated
    return boxed


def _boxed(text: str, pieces: Sequence[_Piece], starts: Sequence[int]) -> _Claim | None:
    """Return the last number of the last box."""
    ends = text.rfind(BOXED_END)
    depth = 0
    for found in reversed([*_BOX.finditer(text, 0, ends + 1)]):
        depth += 1 if found[0] == BOXED_END else -1
        if depth == 0:
            begins = found.start()
            inside = pieces[bisect_left(starts, begins) : bisect_left(starts, ends)]
            return _Claim(begins, _last(text, inside).value if inside else None)
    return None


def _stated(text: str, cue: re.Match[str], pieces: Sequence[_Piece], starts: Sequence[int]) -> _Claim | None:
    """Return what a sentence says the answer to be; None if it says no number."""
    if _VOID.search(text[max(0, cue.start() - 30) : cue.start()].rpartition("\n")[2]):
        return None
    copula = _COPULA.search(text, cue.end(), cue.end() + _COPULA_REACH)
    after_copula = copula.end() if copula else cue.end()
    begins = (_BEGINS.match(text, after_copula) or cue).end()
    over = _SENTENCE_END.search(text, begins, begins + _REACH)
    ends = over.start() if over else begins + _REACH
    at = bisect_left(starts, after_copula)
    sentence = [piece for piece in pieces[at : bisect_left(starts, ends)] if piece.tier != _LABELLED]
    if not sentence or (copula is None and re.search(r"\w", text[cue.end() : sentence[0].start])):
        return None
    if _DENIED.match(text, after_copula):
        return _Claim(cue.start(), sentence[-1].value if len(sentence) > 1 else None)
    if not _DIRECTLY.fullmatch(text, after_copula, sentence[0].start):
        return _Claim(cue.start(), sentence[-1].value)
    return _Claim(cue.start(), _end_of_equation(text, sentence).value)


def _end_of_equation(text: str, sentence: Sequence[_Piece]) -> _Piece:
    """Return the last of the pieces that follow each other after signs of equality."""
    last = sentence[0]
    for piece in sentence[1:]:
        gap = text[last.end : piece.start]
        if len(gap) > _LONGEST_GAP or not _EQUALS.search(gap):
            break
        last = piece
    return last
