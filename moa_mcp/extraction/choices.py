"""Extracts the choice, A to J, that an answer makes.

1. A letter counts if the text states it as the answer: in a box or an answer tag; after words such as "the answer is",
   "I choose" or "therefore"; before "is correct"; or alone on the first or last line. The last statement counts.
2. A statement that denies its letter counts for no letter, or for the letter after its "but". A statement in a
   question, under an "if", or about a wrong or a first answer does not count at all. If the last statement names
   several letters, there is no choice.
   A letter that is denied or retracted after it was stated is not a choice. A correction replaces it, and the replaced
   letter in "C (was B)" or "C rather than B" does not count.
3. Without a statement, a line such as ``B) Paris`` counts if it is the first or the last line and no line begins with
   another letter.
4. Other letters are words, names or mentions: "Option A ignores friction", the article A, the pronoun I. A lower-case
   letter counts only if nothing but the letter follows, or if it is the whole line. Cyrillic and Greek capitals that
   look like Latin letters are read as these.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from moa_mcp.extraction import letters, markup
from moa_mcp.extraction.cues import (
    ALONE,
    ANOTHER,
    ANSWER,
    BEFORE_NAME,
    BLANKS,
    BOX,
    BUT,
    CALLED_WRONG,
    CANDIDATE,
    CHOSEN,
    CONCLUDED,
    CORRECTED,
    CUED,
    DENIED_AFTER,
    DENIES,
    DOUBLED,
    DOUBTED,
    ENDS,
    FOLLOWED,
    FORMER,
    FORMERLY,
    HEADED,
    INSTEAD_OF,
    LABELLED,
    LOOK_ALIKE,
    NOT_THIS,
    OR,
    PLAIN,
    PURE,
    QUESTION,
    RATHER,
    REPLACES,
    RETRACTED,
    RIGHT,
    SENTENCE,
    THEN,
    UNDER_IF,
    UNSEEN,
    VOIDED,
    WORD,
    WRONG,
)
from moa_mcp.extraction.latex import BOXED, BOXED_END

_REACH = 130
_LONGEST_DRESS = 30
"""Maximum characters of a line that consists of a letter and its markup or punctuation."""
_MOST_LETTERS = 1000
"""Maximum letters examined, from the end of an answer."""


class _Letter(NamedTuple):
    start: int
    end: int
    letter: str
    """Empty if several are named together."""


def choice_letter(answer: str) -> str | None:
    """Return the choice that an answer makes; None if it makes none."""
    text = _dressed_down(answer)
    if (last := _last_statement(text)) is not None:
        return last.letter or None
    return _only_label(text.replace(BOXED, "").replace(BOXED_END, "").split("\n"))


def _dressed_down(answer: str) -> str:
    """Return the text without markup and quotes, with round brackets and Latin letters."""
    text = BLANKS.sub(" ", UNSEEN.sub("", markup.plain(answer)).translate(PLAIN))
    text = DOUBLED.sub(lambda found: found[0][0], text).replace("\u2019", "'").replace("\u2018", "'")
    return ALONE.sub(lambda found: found[0].translate(LOOK_ALIKE), text)


def _last_statement(text: str) -> _Letter | None:
    """Return the choice of the last statement."""
    candidates = [_Letter(found.start(), found.end(), found[0]) for found in CANDIDATE.finditer(text)]
    denied: set[str] = set()
    last = range(len(candidates) - 1, max(-1, len(candidates) - 1 - _MOST_LETTERS), -1)
    for index in (*last, *range(min(1, len(candidates) - len(last)))):
        candidate = candidates[index]
        near = candidates[max(0, index - 1) : index + 2]
        letter = candidate.letter.upper()
        if _is_stated(text, candidate, candidates[index - 1] if index else None):
            several = any(_are_alternatives(text, *pair) for pair in pairwise(near))
            taken_back = letter in denied or RETRACTED.match(text, candidate.end)
            return _Letter(candidate.start, candidate.end, "" if several or taken_back else letter)
        if _is_denied(text, candidate):
            denied.add(letter)
    return None


def _is_denied(text: str, candidate: _Letter) -> bool:
    """Whether a letter is denied."""
    before, after = _before(text, candidate.start), text[candidate.end : candidate.end + _REACH]
    if QUESTION.match(after) or UNDER_IF.match(after) or not _is_letter(candidate.letter, after):
        return False
    if (cued := _cue(before)) is not None:
        return bool(cued["not"] or cued["denied"] or DOUBTED.search(before[: cued.start()]))
    return bool(WRONG.match(after) or DENIED_AFTER.match(after) or NOT_THIS.search(before))


def _is_stated(text: str, candidate: _Letter, previous: _Letter | None) -> bool:
    """Whether the text states a letter as the answer."""
    before, after = _before(text, candidate.start), text[candidate.end : candidate.end + _REACH]
    if QUESTION.match(after) or UNDER_IF.match(after):
        return False
    if (boxed := _boxed(text, candidate)) is not None:
        return boxed
    small = candidate.letter.islower()
    if _is_pure(text, candidate):
        return True
    if not small and RIGHT.match(after) and not WRONG.match(after) and not DENIES.search(before[-12:]):
        return not VOIDED.search(before)
    if _is_passed_over(before, after) or not _is_letter(candidate.letter, after):
        return False
    return _is_cued(before, after, text[max(0, candidate.start - 40) : candidate.start], small=small) or (
        previous is not None and _is_second_thought(text, previous, candidate)
    )


def _is_passed_over(before: str, after: str) -> bool:
    """Whether a letter is called wrong, a former answer, or replaced by another one."""
    if FORMER.search(before) or INSTEAD_OF.search(before):
        return True
    return bool(DENIED_AFTER.match(after) or WRONG.match(after))


def _before(text: str, start: int) -> str:
    """Return the part of a letter's sentence before it."""
    before = text[max(0, start - _REACH) : start]
    begins = 0
    for found in SENTENCE.finditer(before):
        begins = found.end()
    return before[begins:]


def _is_letter(letter: str, after: str) -> bool:
    """Whether the text after a letter rules out an article, a pronoun or the beginning of a name."""
    if letter.islower():
        return after.startswith(")") or bool(ENDS.match(after))
    return bool(FOLLOWED.match(after)) or (letter not in "AI" and bool(BEFORE_NAME.match(after)))


def _is_cued(before: str, after: str, headed: str, *, small: bool) -> bool:
    """Whether words before a letter introduce it as the answer."""
    if (cued := _cue(before)) is not None:
        lead = before[: cued.start()]
        return not (cued["not"] or cued["denied"] or VOIDED.search(lead) or DOUBTED.search(lead))
    if (chosen := CHOSEN.search(before)) is not None and not small:
        return not (chosen["not"] or DENIES.search(chosen["way"] or "") or FORMERLY.search(chosen["way"] or ""))
    if not ENDS.match(after):
        return False
    if (headed_by := HEADED.search(headed)) is not None:
        return not VOIDED.search(headed[: headed_by.start()])
    if CORRECTED.search(before) and not small:
        return True
    concluded = CONCLUDED.search(before)
    return concluded is not None and not small and not concluded["not"]


def _cue(before: str) -> re.Match[str] | None:
    """Return the last phrase such as "the answer is" that ends where a letter begins."""
    nouns = reversed([found.start() for found in ANSWER.finditer(before)])
    return next((cued for at in nouns if (cued := CUED.match(before, at))), None)


def _is_second_thought(text: str, previous: _Letter, candidate: _Letter) -> bool:
    """Whether a letter replaces one that was denied: "not A but C"."""
    gap = text[previous.end : candidate.start]
    then = THEN.fullmatch(gap) and ENDS.match(text, candidate.end)
    if len(gap) > _REACH or not (then or BUT.fullmatch(gap)):
        return False
    if RATHER.search(gap):
        return True
    before = _before(text, previous.start)
    if NOT_THIS.search(before):
        return True
    cued = _cue(before) or CHOSEN.search(before) or CONCLUDED.search(before)
    return cued is not None and bool(DENIES.search(before) or "\u4e0d" in before)


def _are_alternatives(text: str, one: _Letter, other: _Letter) -> bool:
    """Whether two letters are named together, both as choices."""
    gap, after = text[one.end : other.start], text[other.end : other.end + _REACH]
    if len(gap) > _REACH or not OR.fullmatch(gap.replace(BOXED, "").replace(BOXED_END, "")):
        return False
    if FORMER.search(gap) or INSTEAD_OF.search(gap):
        return False
    return bool(RIGHT.match(after)) or (
        _is_letter(other.letter, after) and not WRONG.match(after) and not _is_clause(after)
    )


def _is_clause(after: str) -> bool:
    return bool(re.match(rf"\)?\s(?:{letters.IS})(?![{WORD}])", after))


def _boxed(text: str, candidate: _Letter) -> bool | None:
    """Return true if a letter is all that its box holds; None if other words decide."""
    begins = text.rfind(BOXED, max(0, candidate.start - _REACH), candidate.start)
    if begins < 0 or text.find(BOXED_END, begins, candidate.start) >= 0:
        return None
    stated = BOX.match(text, begins)
    return True if stated is not None and stated.start("letter") == candidate.start else None


def _is_pure(text: str, candidate: _Letter) -> bool:
    """Whether the first or the last line consists of the letter alone."""
    for begins, ends in ((0, text.find("\n")), (text.rfind("\n") + 1, len(text))):
        line = text[begins : ends if ends >= 0 else len(text)]
        if begins <= candidate.start < begins + len(line) <= begins + _LONGEST_DRESS:
            return PURE.fullmatch(line.strip(" '")) is not None
    return False


def _only_label(lines: list[str]) -> str | None:
    """Return the letter that begins the first or the last line, if no line begins with another."""
    if (replaces := REPLACES.fullmatch(lines[0]) or REPLACES.fullmatch(lines[-1])) is not None:
        return replaces[1]
    labels = [LABELLED.match(line) for line in lines]
    named = {_label(found) for found in labels if found}
    if any(ANOTHER.match(lines[at], found.end()) for at in (0, -1) if (found := labels[at])):
        return None
    rests = [lines[at][found.end() :] for at in (0, -1) if (found := labels[at])]
    if len(named) != 1 or all(CALLED_WRONG.match(rest) for rest in rests):
        return None
    return named.pop()


def _label(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group).upper()
