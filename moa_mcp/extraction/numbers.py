"""Extracts the number that an answer states as its result.

1. Numbers are read whole. What is written in one piece (``3,5``, ``1/2``, ``2024-05-17``, ``2x``, ``6 × 7``,
   ``3 to 5``) is one number or none; a part of it is never read as a number. Parts of names (``x_1``, ``GPT-4``,
   ``m²``) are not numbers.
2. The number stated as the answer counts: in a box or an answer tag, or after words such as "the answer is"; the last
   such number. Otherwise the last number counts, one in bold before others on its line. Numbers in brackets beside the
   text, and those of labels ("step 3", ``[2]``), count only if there are no others.
3. A number that is denied, a former answer or a confidence does not count. An answer that is denied or retracted after
   it was given is none; a correction replaces it.
4. If what counts can't be read as one exact number, or several numbers are given as the answer, there is none. Bounds,
   ranges and functions of a number are not that number. Units are ignored, and so is percent.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from moa_mcp.extraction import doubts, markup, words
from moa_mcp.extraction.bounds import DASHES, LETTER
from moa_mcp.extraction.latex import BOXED, BOXED_END, SEAM
from moa_mcp.extraction.markup import BOLD, BOLD_END, MARKS
from moa_mcp.extraction.numerals import DecimalMark, Exact, repeating_as_fractions, written
from moa_mcp.extraction.pieces import LONGEST_GAP, Piece, pieces, seamless
from moa_mcp.extraction.runs import M

_CURRENCY = re.compile(
    r"[$\u00a2-\u00a5\u0e3f\u20a0-\u20c0\ufdfc]|\b(?:USD|EUR|GBP|CHF|INR|JPY|CNY|RMB|RUB|BRL|CAD|AUD|Rs\.?)(?=\d)"
)
_EQUALS = re.compile(rf"[=\u2248\u2245\u2243\u21d2\u2192]\s?[\{DASHES}+$({MARKS}]*$")
_LABEL = re.compile(rf"(?:#|\bno\.|\bnr\.?|\u7b2c|\b(?:{words.LABELS})[.:]?)\s?$", re.IGNORECASE)
_LISTED = re.compile(r"[.)]\s\S")

_IT_IS = r"(?:it is|it's|it should be|it must be|that's|that is|make it|make that|es ist|c'est|es|è|é|это)?"
_BOX = re.compile(f"{BOXED}|{BOXED_END}")
_CUE = re.compile(
    rf"\b(?:{words.ANSWER})\b|(?:{words.ANSWER_UNSPACED})|(?:\b|(?<=[\s.]))(?:{doubts.CORRECTION})(?=\s?:)"
    rf"|(?:^|(?<=[\s.!,;\u2026]))(?P<second>(?:(?:{doubts.SECOND_THOUGHT})[\s,:.]{{0,3}}"
    rf"|(?:{doubts.SECOND_NO})\s?,\s?)(?:no[\s,]{{1,2}})?{_IT_IS}(?=[\s\d,]))",
    re.IGNORECASE | re.MULTILINE,
)
_RATHER = re.compile(rf"{M}*\s?[.;]\s(?:but |rather |instead,? )?{_IT_IS[:-1]}\s[{MARKS}($\{DASHES}]*", re.IGNORECASE)
_RETRACTED = re.compile(doubts.RETRACTED, re.IGNORECASE)
_DOUBTED = re.compile(doubts.DOUBTED, re.IGNORECASE)
_COPULA = re.compile(rf"{words.SAYS}|\n", re.IGNORECASE)
_IS_THE = re.compile(words.IS_THE, re.IGNORECASE)
_SENTENCE_END = re.compile(rf"[.!?](?={M}*(?:\s|$))|[\u3002;\n]|\.{M}*$")
_BEGINS = re.compile(rf"(?:\s|{M}|[:=>*])*")
_DIRECTLY = re.compile(
    rf"\W*+(?:(?:is|are|was|be|equals|ist|est|es|è|é|the|a|an|about|approximately|approx|roughly|exactly"
    rf"|simply|just|therefore|thus|then|indeed"
    rf"|ca|etwa|environ|circa|около|примерно|约|約|minus|negative|[{LETTER}](?:_\d)?(?=\s?=)|US|value|number"
    rf"|of|der|die|das|la|el|le)"
    r"\W*+){0,6}+",
    re.IGNORECASE,
)
_DENIED = re.compile(rf"\W*(?:{doubts.NOT})(?![{LETTER}])", re.IGNORECASE)
_BLANKS = re.compile(" {2,}")
_SEAMS = rf"[{MARKS}\s]{{0,8}}"
_OR_ELSE = f"{words.AND}|{doubts.OR_ELSE}|{doubts.MAYBE}"
_ALSO = re.compile(
    rf"{_SEAMS}(?:(?:[,;&\u2228]"
    rf"|(?:[(,;]\s?)?(?:{_OR_ELSE})(?![{LETTER}])){_SEAMS}){{1,4}}(?:[{LETTER}]\w{{0,3}}\s?=\s?)?"
    rf"[{MARKS}\s+($\{DASHES}]*",
    re.IGNORECASE,
)
_VOID = re.compile(rf"\b(?:{words.VOID}|{words.IF})(?:\s[^\s]{{1,12}}){{0,2}}\s?$", re.IGNORECASE)
_REACH = 300
_COPULA_REACH = 60
_ASIDE_REACH = 200

_WITH_NAME = re.compile(rf"[\s{MARKS}]{{1,4}}[{LETTER}]{{1,12}}(?=\s(?:{words.AND}|{doubts.OR_ELSE})\s)", re.IGNORECASE)
_MOST_LOOKS = 2000
"""Maximum numbers examined, from the end, if those before don't count."""

_NORMAL, _ASIDE, _LABELLED, _VOIDED = range(4)


class _Claim(NamedTuple):
    """A statement of the answer."""

    start: int
    end: int
    value: Exact | None


def last_number(answer: str, mark: DecimalMark = "point") -> str | None:
    """Return the number that an answer states, in canonical form; None if it states none."""
    text = repeating_as_fractions(_CURRENCY.sub(SEAM, _BLANKS.sub(" ", markup.plain(answer))))
    numbers = list(pieces(text, mark))
    if not numbers:
        return None
    claim = _claim(text, numbers) or _unclaimed(text, numbers)
    value = claim.value
    return None if value is None or _is_taken_back(text, claim, numbers) else written(value)


def _unclaimed(text: str, numbers: Sequence[Piece]) -> _Claim:
    last = _last(text, numbers)
    return _Claim(last.start, last.end, None if _tier(last) == _VOIDED else last.value)


def _is_taken_back(text: str, claim: _Claim, numbers: Sequence[Piece]) -> bool:
    """Whether an answer is denied after it was given."""
    if _RETRACTED.match(text, claim.end):
        return True
    after = numbers[bisect_left(numbers, claim.end, key=lambda piece: piece.start) :][-_MOST_LOOKS:]
    return any(piece.is_denied and piece.value == claim.value for piece in after)


def _tier(piece: Piece) -> int:
    """Return the tier of a piece: in the text, in brackets beside it, a label, or void."""
    if piece.is_void:
        return _VOIDED
    if _is_label(piece):
        return _LABELLED
    return _ASIDE if _is_aside(piece) else _NORMAL


def _is_label(piece: Piece) -> bool:
    """Whether a number is the label of a step, a note or a list item."""
    before, after = seamless(piece.before), piece.after
    line = before[before.rfind("\n") + 1 :]
    begins = "\n" in before or piece.start <= len(piece.before)
    listed = begins and not line.strip(" (") and _LISTED.match(after)
    cited = before.endswith("[") and after.startswith("]")
    return bool(listed or cited or _LABEL.search(before))


def _is_aside(piece: Piece) -> bool:
    """Whether a number is in brackets together with other text."""
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
    """Return the last number of the text, otherwise of brackets, otherwise of labels."""
    found: dict[int, Piece] = {}
    for piece in reversed(numbers[-_MOST_LOOKS:]):
        if _tier(found.setdefault(_tier(piece), piece)) == _NORMAL:
            break
    last = found[min(found)]
    if _tier(last) != _NORMAL or _EQUALS.search(text[max(0, last.start - 12) : last.start]):
        return last
    line_start = text.rfind("\n", 0, last.start)
    for piece in reversed(numbers):
        if piece.start < line_start:
            break
        if _is_bold(text, piece) and _tier(piece) != _VOIDED:
            return piece
    return last


def _is_bold(text: str, piece: Piece) -> bool:
    """Whether a number, with at most a sign and a unit, is the whole content of a bold part."""
    before, after = text[max(0, piece.start - 12) : piece.start], text[piece.end : piece.end + 24]
    opened, closed = before.rfind(BOLD), after.find(BOLD_END)
    return opened >= 0 and closed >= 0 and not before[opened + 1 :].strip(f"{MARKS}{DASHES}+(\u2248= ")


def _claim(text: str, numbers: Sequence[Piece]) -> _Claim | None:
    """Return the last statement of the answer; None if there is none."""
    starts = [piece.start for piece in numbers]
    boxed = _boxed(text, numbers, starts)
    second: _Claim | None = None  # a second thought counts only after a first
    for cue in reversed([*_CUE.finditer(text)]):
        if boxed is not None and cue.start() < boxed.start:
            break
        if cue["second"] and second is not None:
            continue
        if (stated := _stated(text, cue, numbers, starts)) is None:
            continue
        if not cue["second"]:
            return second or stated
        second = second or stated
    return boxed and (second or boxed)


def _boxed(text: str, numbers: Sequence[Piece], starts: Sequence[int]) -> _Claim | None:
    """Return the last number of the last box whose number is not denied."""
    denied: _Claim | None = None
    for begins, ends in _boxes(text):
        first = bisect_left(starts, begins)
        inside = numbers[first : bisect_left(starts, ends)]
        several = _is_list(text, inside) or _is_row(text, inside)
        if not inside or several or _is_one_of_two(text, numbers[max(0, first - 1) : first + 1]):
            return denied or _Claim(begins, ends, None)
        last = _last(text, inside)
        if _tier(last) != _VOIDED:
            return _Claim(begins, ends, last.value)
        denied = denied or _Claim(begins, ends, None)
    return denied


def _boxes(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of outermost boxes, the last first."""
    ends = text.rfind(BOXED_END)
    depth = 0
    for found in reversed([*_BOX.finditer(text, 0, ends + 1)]):
        if depth == 0 and found[0] == BOXED_END:
            ends = found.start()
        depth = max(0, depth + (1 if found[0] == BOXED_END else -1))
        if depth == 0 and found[0] == BOXED:
            yield found.start(), ends


def _is_row(text: str, numbers: Sequence[Piece]) -> bool:
    """Whether only blanks separate the last number from the one before."""
    return len(numbers) > 1 and not text[numbers[-2].end : numbers[-1].start].strip(f"{MARKS} ")


def _is_one_of_two(text: str, numbers: Sequence[Piece]) -> bool:
    """Whether a box is next to another one with a different number."""
    beside = _is_list(text, numbers) or _is_row(text, numbers)
    if not beside or BOXED_END not in text[numbers[0].end : numbers[1].start]:
        return False
    return numbers[0].value != numbers[1].value


def _stated(text: str, cue: re.Match[str], numbers: Sequence[Piece], starts: Sequence[int]) -> _Claim | None:
    """Return the answer that a sentence states; None if it states no number."""
    before = text[max(0, cue.start() - _COPULA_REACH) : cue.start()].rpartition("\n")[2]
    if _VOID.search(before):
        return None
    last = bisect_left(starts, cue.start()) - 1
    if last >= 0 and not cue["second"] and _IS_THE.fullmatch(text, numbers[last].end, cue.start()):
        denied = _tier(numbers[last]) == _VOIDED
        return None if denied else _Claim(cue.start(), numbers[last].end, numbers[last].value)
    copula = _COPULA.search(text, cue.end(), cue.end() + _COPULA_REACH)
    begins = copula.end() if copula else cue.end()
    sentence = _sentence(text, begins, numbers, starts)
    if not sentence or (copula is None and re.search(r"\w", text[begins : sentence[0].start])):
        return None
    counting = [piece for piece in sentence if _tier(piece) != _VOIDED]
    if (copula and copula["denied"]) or _DENIED.match(text, begins) or not counting:
        after = bisect_left(starts, sentence[-1].end)
        instead = _instead(text, sentence, counting, numbers[after : after + 1])
        return _Claim(cue.start(), sentence[-1].end, instead.value if instead else None)
    doubted = _DOUBTED.search(before)
    return _Claim(cue.start(), counting[0].end, None if doubted else _said(text, begins, counting))


def _instead(
    text: str, sentence: Sequence[Piece], counting: Sequence[Piece], following: Sequence[Piece]
) -> Piece | None:
    """Return the number that replaces a denied one, in its sentence or right after it."""
    if counting and counting[-1] is not sentence[0]:
        return counting[-1]
    if following and _RATHER.fullmatch(text, sentence[-1].end, following[0].start):
        return following[0]
    return None


def _sentence(text: str, begins: int, numbers: Sequence[Piece], starts: Sequence[int]) -> Sequence[Piece]:
    """Return the numbers, without labels, in the rest of a sentence; none if it is a question."""
    first = found.end() if (found := _BEGINS.match(text, begins)) else begins
    over = _SENTENCE_END.search(text, first, first + _REACH)
    if over and over[0] == "?":
        return ()
    ends = over.start() if over else first + _REACH
    within = numbers[bisect_left(starts, begins) : bisect_left(starts, ends)]
    return [piece for piece in within if _tier(piece) != _LABELLED]


def _said(text: str, begins: int, sentence: Sequence[Piece]) -> Exact | None:
    """Return the number right after "is", or the last of the sentence if other words follow "is"."""
    direct = _DIRECTLY.fullmatch(text, begins, sentence[0].start)
    if direct and _is_list(text, sentence[:2]):
        return None
    return (_end_of_equation(text, sentence) if direct else sentence[-1]).value


def _is_list(text: str, numbers: Sequence[Piece]) -> bool:
    """Whether the last number is listed with the one before, so that neither alone is the answer."""
    if len(numbers) < 2:  # noqa: PLR2004
        return False
    one, other = numbers[-2:]
    if other.start - one.end > LONGEST_GAP:
        return False
    named = _WITH_NAME.match(text, one.end, other.start)
    return _ALSO.fullmatch(text, named.end() if named else one.end, other.start) is not None


def _end_of_equation(text: str, sentence: Sequence[Piece]) -> Piece:
    """Return the last of the numbers that are joined by equals signs."""
    last = sentence[0]
    for piece in sentence[1:]:
        gap = text[last.end : piece.start]
        if len(gap) > LONGEST_GAP or not _EQUALS.search(gap):
            break
        last = piece
    return last
