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
from collections.abc import Sequence
from typing import NamedTuple

from moa_mcp.extraction import markup, words
from moa_mcp.extraction.latex import BOXED, BOXED_END, SEAM
from moa_mcp.extraction.markup import BOLD, BOLD_END, MARKS
from moa_mcp.extraction.numerals import DecimalMark, Exact, written
from moa_mcp.extraction.pieces import DASHES, LETTER, LONGEST_GAP, M, Piece, pieces, seamless

_CURRENCY = re.compile(
    r"[$\u00a2-\u00a5\u0e3f\u20a0-\u20c0\ufdfc]|\b(?:USD|EUR|GBP|CHF|INR|JPY|CNY|RMB|RUB|BRL|CAD|AUD|Rs\.?)(?=\d)"
)
_EQUALS = re.compile(rf"[=\u2248\u2245\u2243\u21d2\u2192]\s?[\\{DASHES}+$({MARKS}]*$")
_LABEL = re.compile(rf"(?:#|\bno\.|\bnr\.?|\u7b2c|\b(?:{words.LABELS})[.:]?)\s?$", re.IGNORECASE)
_OF_NAME = re.compile(rf"[{LETTER}]\($")
_LISTED = re.compile(r"[.)]\s\S")

_BOX = re.compile(f"{BOXED}|{BOXED_END}")
_CUE = re.compile(rf"\b(?:{words.ANSWER})\b|(?:{words.ANSWER_UNSPACED})", re.IGNORECASE)
_COPULA = re.compile(rf"{words.SAYS}|\n", re.IGNORECASE)
_IS_THE = re.compile(words.IS_THE, re.IGNORECASE)
_SENTENCE_END = re.compile(rf"[.!?](?={M}*(?:\s|$))|[\u3002;\n]|\.{M}*$")
_BEGINS = re.compile(rf"(?:\s|{M}|[:=>*])*")
_DIRECTLY = re.compile(
    rf"\W*+(?:(?:is|are|was|be|equals|ist|est|es|è|é|the|a|an|about|approximately|approx|roughly|exactly|simply|just|therefore|thus|then|indeed"
    rf"|ca|etwa|environ|circa|около|примерно|约|約|minus|negative|[{LETTER}](?:_\d)?(?=\s?=)|US|value|number|of|der|die|das|la|el|le)"
    r"\W*+){0,6}+",
    re.IGNORECASE,
)
_DENIED = re.compile(rf"\W*(?:{words.NOT})(?![{LETTER}])", re.IGNORECASE)
_ALSO = re.compile(
    rf"{M}*\s?(?:[,;]\s?(?:{words.AND})?|(?:{words.AND})(?![{LETTER}])|&)\s?{M}*(?:[{LETTER}]\w{{0,3}}\s?=\s?)?"
    rf"[{M[1:-1]}\s+($\\{DASHES}]*",
    re.IGNORECASE,
)
_VOID = re.compile(rf"\b(?:{words.VOID}|{words.IF})(?:\s[^\s]{{1,12}}){{0,2}}\s?$", re.IGNORECASE)
_REACH = 300
_COPULA_REACH = 60
_ASIDE_REACH = 200

_NORMAL, _ASIDE, _LABELLED = range(3)


class _Claim(NamedTuple):
    """What is said to be the answer."""

    start: int
    value: Exact | None


def last_number(answer: str, mark: DecimalMark = "point") -> str | None:
    """Return the number that an answer comes to, in one way of writing it."""
    text = _CURRENCY.sub(SEAM, markup.plain(answer))
    numbers = list(pieces(text, mark))
    if not numbers:
        return None
    claim = _claim(text, numbers)
    value = _last(text, numbers).value if claim is None else claim.value
    return None if value is None else written(value)


def _tier(piece: Piece) -> int:
    """Return whether a piece stands in the text, in brackets beside it, or numbers something of the text itself."""
    if _is_label(piece):
        return _LABELLED
    return _ASIDE if _is_aside(piece) else _NORMAL


def _is_label(piece: Piece) -> bool:
    """Whether a number is that of a step, a note, a line of a list, or what a function is taken of."""
    before, after = seamless(piece.before), piece.after
    line = before[before.rfind("\n") + 1 :]
    begins = "\n" in before or piece.start <= len(piece.before)
    listed = begins and not line.strip(" (") and _LISTED.match(after)
    cited = before.endswith("[") and after.startswith("]")
    return bool(listed or cited or _LABEL.search(before) or _OF_NAME.search(before))


def _is_aside(piece: Piece) -> bool:
    """Whether a number stands in brackets together with other things."""
    left = piece.text[max(0, piece.start - _ASIDE_REACH) : piece.start]
    left = left[left.rfind("\n") + 1 :]
    opened = left.rfind("(")
    if opened < 0 or left.rfind(")") > opened:
        return False
    alone = not left[opened + 1 :].strip(f"{MARKS}{DASHES}+ ") and piece.after.lstrip(f"{MARKS}% ").startswith(")")
    if not alone:
        return left[:opened].strip(f"{MARKS} ") != ""
    return re.search(rf"\d[\s%{SEAM}]{{0,3}}$", left[:opened]) is not None


def _last(text: str, numbers: Sequence[Piece]) -> Piece:
    """Return the last number: of those in the text, else of those in brackets, else of labels."""
    found: dict[int, Piece] = {}
    for piece in reversed(numbers):
        if _tier(found.setdefault(_tier(piece), piece)) == _NORMAL:
            break
    last = found[min(found)]
    if _tier(last) != _NORMAL or _EQUALS.search(text[max(0, last.start - 12) : last.start]):
        return last
    line_start = text.rfind("\n", 0, last.start)
    for piece in reversed(numbers):
        if piece.start < line_start:
            break
        if _is_bold(text, piece):
            return piece
    return last


def _is_bold(text: str, piece: Piece) -> bool:
    """Whether a number, with a sign and a unit at most, is all that a part in bold holds."""
    before, after = text[max(0, piece.start - 12) : piece.start], text[piece.end : piece.end + 24]
    opened, closed = before.rfind(BOLD), after.find(BOLD_END)
    return opened >= 0 and closed >= 0 and not before[opened + 1 :].strip(f"{MARKS}{DASHES}+(\u2248= ")


def _claim(text: str, numbers: Sequence[Piece]) -> _Claim | None:
    """Return what is last said to be the answer; None if nothing is."""
    starts = [piece.start for piece in numbers]
    boxed = _boxed(text, numbers, starts)
    for cue in reversed([*_CUE.finditer(text)]):
        if boxed is not None and cue.start() < boxed.start:
            break
        if (stated := _stated(text, cue, numbers, starts)) is not None:
            return stated
    return boxed


def _boxed(text: str, numbers: Sequence[Piece], starts: Sequence[int]) -> _Claim | None:
    """Return the last number of the last box."""
    ends = text.rfind(BOXED_END)
    depth = 0
    for found in reversed([*_BOX.finditer(text, 0, ends + 1)]):
        depth += 1 if found[0] == BOXED_END else -1
        if depth == 0:
            begins = found.start()
            inside = numbers[bisect_left(starts, begins) : bisect_left(starts, ends)]
            return _Claim(begins, _last(text, inside).value if inside and not _is_list(text, inside) else None)
    return None


def _stated(text: str, cue: re.Match[str], numbers: Sequence[Piece], starts: Sequence[int]) -> _Claim | None:
    """Return what a sentence says the answer to be; None if it says no number."""
    before = text[max(0, cue.start() - _COPULA_REACH) : cue.start()].rpartition("\n")[2]
    if _VOID.search(before):
        return None
    last = bisect_left(starts, cue.start()) - 1
    if last >= 0 and _IS_THE.fullmatch(text, numbers[last].end, cue.start()):
        return _Claim(cue.start(), numbers[last].value)
    copula = _COPULA.search(text, cue.end(), cue.end() + _COPULA_REACH)
    begins = copula.end() if copula else cue.end()
    sentence = _sentence(text, begins, numbers, starts)
    if not sentence or (copula is None and re.search(r"\w", text[begins : sentence[0].start])):
        return None
    denied = (copula and copula["denied"]) or _DENIED.match(text, begins)
    return _Claim(cue.start(), _said(text, begins, sentence, denied=bool(denied)))


def _sentence(text: str, begins: int, numbers: Sequence[Piece], starts: Sequence[int]) -> Sequence[Piece]:
    """Return the numbers, but labels, of the sentence that goes on at a place; none of a question."""
    first = found.end() if (found := _BEGINS.match(text, begins)) else begins
    over = _SENTENCE_END.search(text, first, first + _REACH)
    if over and over[0] == "?":
        return ()
    ends = over.start() if over else first + _REACH
    within = numbers[bisect_left(starts, begins) : bisect_left(starts, ends)]
    return [piece for piece in within if _tier(piece) != _LABELLED]


def _said(text: str, begins: int, sentence: Sequence[Piece], *, denied: bool) -> Exact | None:
    """Return the number right after "is", or the last of the sentence where other words follow that."""
    if denied:
        return sentence[-1].value if len(sentence) > 1 else None
    direct = _DIRECTLY.fullmatch(text, begins, sentence[0].start)
    if direct and _is_list(text, sentence[:2]):
        return None
    return (_end_of_equation(text, sentence) if direct else sentence[-1]).value


def _is_list(text: str, numbers: Sequence[Piece]) -> bool:
    """Whether the last number is named beside the one before, so that neither alone is the answer."""
    if len(numbers) < 2:  # noqa: PLR2004
        return False
    one, other = numbers[-2:]
    return other.start - one.end <= LONGEST_GAP and _ALSO.fullmatch(text, one.end, other.start) is not None


def _end_of_equation(text: str, sentence: Sequence[Piece]) -> Piece:
    """Return the last of the numbers that follow each other after signs of equality."""
    last = sentence[0]
    for piece in sentence[1:]:
        gap = text[last.end : piece.start]
        if len(gap) > LONGEST_GAP or not _EQUALS.search(gap):
            break
        last = piece
    return last
