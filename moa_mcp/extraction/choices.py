"""The choice, from A to J, that an answer settles on.

1. A letter counts where it is said to be the answer: in a box or an answer tag; after words such as "the answer is", "I
   choose" or "therefore"; before "is correct"; or alone on the first or last line. If several are, the last one counts.
2. A statement that denies its letter counts for nobody, or for the letter after its "but"; one in a question, under an
   "if", or about a wrong or a first answer does not count at all. If the last statement names several letters, there is
   no choice.
3. Without a statement, a line such as ``B) Paris`` counts if it is the first or the last and no line has another
   letter.
4. Other letters are words, names or mentions: "Option A ignores friction", the article A, the pronoun I. A small letter
   counts only where nothing but the letter follows. Cyrillic and Greek capitals that look Latin are read as Latin.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from moa_mcp.extraction import letters, markup, words
from moa_mcp.extraction.latex import BOXED, BOXED_END
from moa_mcp.extraction.markup import MARKS

_LOOK_ALIKE = str.maketrans("АВСЕНΑΒΕΗΙ", "ABCEHABEHI")
_ALONE = re.compile("(?<![^\\W_])[АВСЕНΑΒΕΗΙ](?![^\\W_])")
_UNSEEN = re.compile(rf"[{''.join(set(MARKS) - {BOXED, BOXED_END})}$\"\u201c\u201d\u201e\u00ab\u00bb`*]")
_PLAIN = str.maketrans("|[]{}\u3010\u3011\u300c\u300d\u300e\u300f\u300a\u300b\u3014\u3015", " " + "()" * 7)
_BLANKS = re.compile(r" {2,}")

_WORD = words.WORD
_CANDIDATE = re.compile(
    rf"(?<![{_WORD}0-9_])(?<![{_WORD}0-9]['-])(?:[A-J](?![{_WORD}0-9_+#&]|'[{_WORD}]|-[{_WORD}0-9])"
    rf"|[a-j](?=\)|'?\s?(?:[.,;:!?\u3002\u3001\n{BOXED}{BOXED_END}]|$)))"
)
_FILL = rf"(?:[\s,:;('\u2018-]{{0,3}}(?:{letters.FILLERS})(?![{_WORD}])){{0,5}}[\s:,('\u2018-]{{0,3}}"
_NOT = rf"(?P<not>[\s,]?(?:{words.NOT})(?![{_WORD}])[\s,]?)?"
_COPULA = words.SAYS
_NOUN = (
    rf"(?:(?<![{_WORD}])(?:{words.ANSWER}|{letters.CHOICE})(?![{_WORD}])"
    rf"|(?:{words.ANSWER_UNSPACED}|{letters.CHOICE_UNSPACED})"
    rf"|^\s?(?:(?:{letters.RIGHT_ONE})(?=\s?[:=]|\s(?:ist|is|es)\b)|(?:{letters.RIGHT_ONE_UNSPACED})(?=[は是])))"
)
_I = re.IGNORECASE
_ANSWER = re.compile(_NOUN, _I)
_CUED = re.compile(rf"{_NOUN}[^.!?;\n]{{0,50}}?{_COPULA}{_FILL}{_NOT}{_FILL}$", _I)
_HEADED = re.compile(
    rf"(?:(?<![{_WORD}])(?:{words.ANSWER})|(?:{words.ANSWER_UNSPACED}))(?![{_WORD}])[\s:.()-]{{0,4}}{_FILL}$", _I
)
_CHOSEN = re.compile(
    rf"(?:(?<![{_WORD}])(?:{letters.SUBJECT})(?![{_WORD}])(?P<way>[^.!?;\n]{{0,40}}?)(?:{letters.VERB})(?![{_WORD}])"
    rf"|(?:^|[,:]\s|(?<=so\s))(?P<alone>)(?:{letters.VERB_ALONE})(?![{_WORD}])"
    rf"|(?:{letters.VERB_UNSPACED})|(?:^|[\s,:\uff0c\u3002])(?:选择?|選擇?)){_NOT}{_FILL}$",
    _I,
)
_CONCLUDED = re.compile(
    rf"(?:(?:^|[,;:]\s|\b(?:and|but|no|wait|actually)\s)(?:{letters.THEREFORE})|(?:{letters.THEREFORE_UNSPACED})"
    rf"|(?<![{_WORD}])(?:{letters.IT_IS})){_NOT}{_FILL}$",
    _I,
)
_DENIES = re.compile(rf"(?<![{_WORD}])(?:{words.NOT}|don't|wouldn't|can't|cannot)(?![{_WORD}])|n't", _I)
_VOIDED = re.compile(rf"(?:(?<![{_WORD}])(?:{words.VOID}|{words.IF}))(?:\s[^\s,]{{1,14}}){{0,2}}\s?$", _I)
_IS = rf"\)?\s?(?:(?:{letters.IS})(?![{_WORD}])|(?:{letters.IS_UNSPACED})){{1,2}}"
_END_OF_CLAUSE = rf"(?=\s?(?:[^\w\s]|$)|\n|\s(?:{letters.AFTER_POSITIVE})\b)"
_RIGHT = re.compile(
    rf"{_IS}\s?(?:[A-Za-z']{{1,12}}\s){{0,2}}?(?:(?:{letters.POSITIVE}){_END_OF_CLAUSE}|(?:{letters.POSITIVE_UNSPACED}))"
    rf"|\)?\s?(?:{letters.POSITIVE_UNSPACED})|\)?\s(?:{letters.POSITIVE_BARE})\b",
    _I,
)
_WRONG = re.compile(
    rf"(?:,?\s?(?:which|that|die|qui|que|che)\s)?{_IS}\s?(?:[a-z]{{1,12}}\s){{0,1}}?"
    rf"(?:(?:{letters.NEGATIVE})(?![{_WORD}])|(?:{letters.NEGATIVE_UNSPACED}))|\)?\s(?:can't|cannot|doesn't|fails)\b",
    _I,
)
_CALLED_WRONG = re.compile(
    rf"[\s:,\u2013\u2014-]*(?:{_IS}\s?)?(?:(?:{letters.NEGATIVE})(?![{_WORD}])|(?:{letters.NEGATIVE_UNSPACED}))", _I
)
_UNDER_IF = re.compile(rf"\)?,?\s(?:only\s)?(?:{words.IF}|unless)(?![{_WORD}])", _I)
_ENDS = re.compile(rf"\)?'?\s?(?:[.,;:!?)\u3002\u3001\n]|$|{BOXED_END})")
_FOLLOWED = re.compile(
    rf"\)?'?\s?(?:[.,;:!?()\u3002\u3001\n\u2013\u2014{BOXED_END}-]|$|[^\W{_WORD}\d_]|(?:{letters.FOLLOWS})(?![{_WORD}]))"
)
_BEFORE_NAME = re.compile(r"\s[A-Z\u00c0-\u00de\u0410-\u042f0-9]")
_OR = re.compile(rf"\)?\s?(?:[,/&\u3001]\s?|,?\s?(?:(?<![{_WORD}])(?:{letters.OR})(?![{_WORD}]))\s?){_FILL}\(?", _I)
_BUT = re.compile(rf"\)?[,;:.]?\s?(?:{letters.BUT})[\s,]?(?:{letters.IT_IS})?{_FILL}\(?", _I)
_RATHER = re.compile("\u306a\u304f|\uc544\ub2c8")
_NOT_THIS = re.compile(rf"(?<![{_WORD}])(?:{words.NOT})(?![{_WORD}]){_FILL}$", _I)
_SENTENCE = re.compile(r"[.!?\u3002]+(?:\s|(?=[^\W\d]))|[;\n]")
_QUESTION = re.compile(r"[^.!?\n\u3002]{0,80}\?")
_PURE = re.compile(
    rf"(?:[-\u2022\u2013]\s?)?(?i:(?:{letters.CHOICE}|选项|選項)\s?)?"
    r"(?:\(?([A-J])\)?|\(([a-j])\)|([a-j])\))(?:选项|選項|项|項|번)?[.!:,]?"
)
_LABELLED = re.compile(
    r"(?:[-\u2022\u2013]\s?)?(?:\(([A-Ja-j])\)|([A-J])(?:\)|[.:](?=\s)|,(?=\s)|\s[-\u2013\u2014:](?=\s))|([a-j])\)"
    r"|([B-HJ])(?=\s(?:because|since|as|weil|parce|car|porque|perché|porque|omdat|потому)\b))"
)
_BOX = re.compile(
    rf"[\s{BOXED}]{{0,4}}(?:(?:{letters.FILLERS}|{words.ANSWER})\s?:?\s?){{0,3}}\(?(?P<letter>[A-Ja-j])"
    rf"\)?(?:\s?{BOXED_END}|[).:,]|\s[-\u2013\u2014:])",
    _I,
)
_REACH = 130
_LONGEST_DRESS = 30
"""Characters of a line that is nothing but a letter, with what is around it."""
_MOST_LETTERS = 1000
"""So many letters are looked at, from the end of an answer."""


class _Letter(NamedTuple):
    start: int
    end: int
    letter: str
    """Empty where several are named at once."""


def choice_letter(answer: str) -> str | None:
    """Return the choice that an answer settles on."""
    text = _dressed_down(answer)
    if (last := _last_statement(text)) is not None:
        return last.letter or None
    return _only_label(text.replace(BOXED, "").replace(BOXED_END, "").split("\n"))


def _dressed_down(answer: str) -> str:
    """Return the text without markup and quotes, with plain brackets and Latin letters."""
    text = _BLANKS.sub(" ", _UNSEEN.sub("", markup.plain(answer)).translate(_PLAIN))
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    return _ALONE.sub(lambda found: found[0].translate(_LOOK_ALIKE), text)


def _last_statement(text: str) -> _Letter | None:
    """Return what the last statement says the choice to be."""
    candidates = [_Letter(found.start(), found.end(), found[0]) for found in _CANDIDATE.finditer(text)]
    last = range(len(candidates) - 1, max(-1, len(candidates) - 1 - _MOST_LETTERS), -1)
    for index in (*last, *range(min(1, len(candidates) - len(last)))):
        candidate = candidates[index]
        near = candidates[max(0, index - 1) : index + 2]
        if _is_stated(text, candidate, candidates[index - 1] if index else None):
            several = any(_are_alternatives(text, *pair) for pair in pairwise(near))
            return _Letter(candidate.start, candidate.end, "" if several else candidate.letter.upper())
    return None


def _is_stated(text: str, candidate: _Letter, previous: _Letter | None) -> bool:
    """Whether a letter is said to be the answer."""
    before, after = _before(text, candidate.start), text[candidate.end : candidate.end + _REACH]
    if _QUESTION.match(after) or _UNDER_IF.match(after):
        return False
    if (boxed := _boxed(text, candidate)) is not None:
        return boxed
    small = candidate.letter.islower()
    if _is_pure(text, candidate):
        return True
    if not small and _RIGHT.match(after) and not _WRONG.match(after) and not _DENIES.search(before[-12:]):
        return not _VOIDED.search(before)
    if _WRONG.match(after) or not _is_letter(candidate.letter, after):
        return False
    return _is_cued(before, after, text[max(0, candidate.start - 40) : candidate.start], small=small) or (
        previous is not None and _is_second_thought(text, previous, candidate)
    )


def _before(text: str, start: int) -> str:
    """Return the part of a letter's sentence that stands before it."""
    before = text[max(0, start - _REACH) : start]
    begins = 0
    for found in _SENTENCE.finditer(before):
        begins = found.end()
    return before[begins:]


def _is_letter(letter: str, after: str) -> bool:
    """Whether what follows lets a letter be more than an article, a pronoun or the beginning of a name."""
    if letter.islower():
        return after.startswith(")") or bool(_ENDS.match(after))
    return bool(_FOLLOWED.match(after)) or (letter not in "AI" and bool(_BEFORE_NAME.match(after)))


def _is_cued(before: str, after: str, headed: str, *, small: bool) -> bool:
    """Whether words before a letter say that it is the answer."""
    if (cued := _cue(before)) is not None:
        return not (cued["not"] or cued["denied"] or _VOIDED.search(before[: cued.start()]))
    if (chosen := _CHOSEN.search(before)) is not None and not small:
        return not (chosen["not"] or _DENIES.search(chosen["way"] or ""))
    if not _ENDS.match(after):
        return False
    if (headed_by := _HEADED.search(headed)) is not None:
        return not _VOIDED.search(headed[: headed_by.start()])
    concluded = _CONCLUDED.search(before)
    return concluded is not None and not small and not concluded["not"]


def _cue(before: str) -> re.Match[str] | None:
    """Return the last words of "the answer is" that end where a letter begins."""
    nouns = reversed([found.start() for found in _ANSWER.finditer(before)])
    return next((cued for at in nouns if (cued := _CUED.match(before, at))), None)


def _is_second_thought(text: str, previous: _Letter, candidate: _Letter) -> bool:
    """Whether a letter comes in place of one that was denied: "not A but C"."""
    gap = text[previous.end : candidate.start]
    if len(gap) > _REACH or not _BUT.fullmatch(gap):
        return False
    before = _before(text, previous.start)
    if _NOT_THIS.search(before):
        return True
    cued = _cue(before) or _CHOSEN.search(before) or _CONCLUDED.search(before)
    return cued is not None and bool(_DENIES.search(before) or "\u4e0d" in before or _RATHER.search(gap))


def _are_alternatives(text: str, one: _Letter, other: _Letter) -> bool:
    """Whether two letters are named in one breath, both as choices."""
    gap, after = text[one.end : other.start], text[other.end : other.end + _REACH]
    if len(gap) > _REACH or not _OR.fullmatch(gap.replace(BOXED, "").replace(BOXED_END, "")):
        return False
    return bool(_RIGHT.match(after)) or (
        _is_letter(other.letter, after) and not _WRONG.match(after) and not _is_clause(after)
    )


def _is_clause(after: str) -> bool:
    return bool(re.match(rf"\)?\s(?:{letters.IS})(?![{_WORD}])", after))


def _boxed(text: str, candidate: _Letter) -> bool | None:
    """Return true if a letter is what its box holds; None if other words decide."""
    begins = text.rfind(BOXED, max(0, candidate.start - _REACH), candidate.start)
    if begins < 0 or text.find(BOXED_END, begins, candidate.start) >= 0:
        return None
    stated = _BOX.match(text, begins)
    return True if stated is not None and stated.start("letter") == candidate.start else None


def _is_pure(text: str, candidate: _Letter) -> bool:
    """Whether the first or the last line is nothing but the letter."""
    for begins, ends in ((0, text.find("\n")), (text.rfind("\n") + 1, len(text))):
        line = text[begins : ends if ends >= 0 else len(text)]
        if begins <= candidate.start < begins + len(line) <= begins + _LONGEST_DRESS:
            return _PURE.fullmatch(line.strip(" '")) is not None
    return False


def _only_label(lines: list[str]) -> str | None:
    """Return the letter with which the first or the last line begins, if no line begins with another."""
    labels = [_LABELLED.match(line) for line in lines]
    named = {_label(found) for found in labels if found}
    rests = [lines[at][found.end() :] for at in (0, -1) if (found := labels[at])]
    if len(named) != 1 or all(_CALLED_WRONG.match(rest) for rest in rests):
        return None
    if any(_PURE.fullmatch(rest.strip()) for rest in rests):
        return None  # "A: B"
    return named.pop()


def _label(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group).upper()
