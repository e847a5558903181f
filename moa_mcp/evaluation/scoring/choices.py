"""Compares the choice that an answer makes, A to J, with the right one.

The letter is read as the vote step reads it. An answer that states no letter is read once more with the whole texts of
the options in place of their letters, so that "The capital is Paris." makes a choice if one option is Paris, and
"It is not Paris." makes none. An answer that names several options without a decision makes none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from string import ascii_uppercase

from msgspec import Struct

from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.comparing import compared, digest_of, shown
from moa_mcp.evaluation.scoring.score import AnswerScore
from moa_mcp.evaluation.scoring.values import Extraction
from moa_mcp.extraction import doubts
from moa_mcp.extraction.choices import choice_letter
from moa_mcp.extraction.texts import whole_text
from moa_mcp.steps.extracting import values_of

LETTERS = ascii_uppercase[:10]
_LABEL = re.compile(r"\(?([A-Ja-j])\s?[).:]\s*")
_DENIED = re.compile(rf"(?<!\w)(?:{doubts.NOT}|{doubts.DENIED_COPULA})(?!\w)|n['\u2019]t(?!\w)", re.IGNORECASE)
_SPACE = r"\s+"


class ByChoice(Struct, frozen=True):
    """Scores 1 if an answer makes the right choice."""

    @property
    def name(self) -> str:
        return "choice"

    @property
    def is_free(self) -> bool:
        return True

    @property
    def digest(self) -> str:
        return digest_of(self.name)

    def problem_of(self, question: EvalQuestion) -> str:
        if question.answer is None:
            return "answer is missing"
        if len(question.choices) > len(LETTERS):
            return f"choices are {len(question.choices)}; at most {len(LETTERS)} (A to {LETTERS[-1]}) can be read"
        if right_letter(question.answer, question.choices) is None:
            return f"answer {shown(question.answer)} is {_valid(question.choices)}"
        return ""

    async def __call__(self, question: EvalQuestion, answer: str) -> AnswerScore:
        expected = right_letter(question.answer or "", question.choices) or ""
        found = (await values_of(Extraction("choice"), [answer])).values[0] or named(answer, question.choices)
        return compared(found, expected, equal=found == expected, absent="the answer makes no choice")


def _valid(choices: tuple[str, ...]) -> str:
    if not choices:
        return f"not a letter from A to {LETTERS[-1]}"
    return f"neither a letter from A to {LETTERS[len(choices) - 1]} nor the text of one choice"


def right_letter(answer: str, choices: tuple[str, ...]) -> str | None:
    """Return the letter of a right answer: itself, with its text (``B) Paris``), or that of a choice with its text."""
    texts = [whole_text(choice) for choice in choices]
    text = whole_text(answer)
    if texts.count(text) == 1 and text is not None:
        return LETTERS[texts.index(text)]
    known = LETTERS[: len(choices)] if choices else LETTERS
    letter = answer.strip().strip("().:*").upper()
    if len(letter) == 1 and letter in known:
        return letter
    labelled = _LABEL.match(answer.strip())
    if labelled and choices and labelled[1].upper() in known:
        at = known.index(labelled[1].upper())
        return known[at] if whole_text(answer.strip()[labelled.end() :]) == texts[at] else None
    return None


def named(answer: str, choices: tuple[str, ...]) -> str | None:
    """Return the letter of the choice that an answer names by its whole text; None if it names none or several."""
    if not choices:
        return None
    whole, texts = whole_text(answer), [whole_text(choice) for choice in choices]
    if whole is not None and texts.count(whole) == 1:
        return LETTERS[texts.index(whole)]
    lettered = _lettered(answer, choices)
    if lettered is None:
        return None
    text, letters = lettered
    if (letter := choice_letter(text)) is not None:
        return letter if letter in letters else None
    return next(iter(letters)) if len(letters) == 1 and not _DENIED.search(text) else None


def _lettered(answer: str, choices: tuple[str, ...]) -> tuple[str, set[str]] | None:
    """Return a text with letters in place of choices, and these letters; None if it names no choice."""
    found: set[str] = set()

    def letter(match: re.Match[str]) -> str:
        found.add(match.lastgroup or "")
        return match.lastgroup or ""

    pattern = _pattern(choices)
    text = answer if pattern is None else pattern.sub(letter, answer)
    return (text, found) if found else None


@lru_cache(maxsize=256)
def _pattern(choices: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return what finds choices in a text, the longest first, in groups named by their letters."""
    plain = [" ".join(choice.casefold().split()).rstrip(".") for choice in choices]
    letters = {text: letter for text, letter in zip(plain, LETTERS, strict=False) if text and plain.count(text) == 1}
    parts = [
        rf"(?P<{letters[text]}>{_SPACE.join(map(re.escape, text.split()))})"
        for text in sorted(letters, key=len, reverse=True)
    ]
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(parts)})(?![^\W_])", re.IGNORECASE) if parts else None
