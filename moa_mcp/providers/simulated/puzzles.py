"""Recognizes the questions that simulated models answer: an arithmetic expression, alone or with choices.

A question that asks anything else, or may be read in another way, is not a puzzle: a result would be no answer to it.
"""

from __future__ import annotations

import re
from fractions import Fraction
from random import Random
from typing import NamedTuple

from moa_mcp.providers.simulated.arithmetic import has_operation, shown, value

_LONGEST = 500
_RESULT_OF = r"(?:the )?(?:result|value) of "
_COMMANDS = (
    "calculate|compute|evaluate|solve|work out|how much (?:is|are)|berechne|berechnen sie|rechne|wie ?viel "
    "(?:ist|sind|ergibt|macht)|was ergibt|combien (?:font|fait)|que (?:font|fait|vaut)|calculez?|calculer|cu[aá]nto "
    "(?:es|son)|calcula|calcular"
)
"""What asks for arithmetic, whatever follows."""
_NAMES = "what is|what's|was ist|quel est le résultat de|cu[aá]l es el resultado de"
"""What may also ask for the meaning of a name, such as 9/11."""
_FRAME = re.compile(
    rf"¿?\s*(?:please )?(?:(?P<command>(?:{_COMMANDS})\b)|(?:{_NAMES}))?\s*(?:{_RESULT_OF})?(?::\s*)?", re.IGNORECASE
)
_END = re.compile(r"\s*(?P<equals>=)?\s*[?.:]?\s*$")
_LIKE_A_DATE = re.compile(r"[0-9]+(?:[-/][0-9]+){2,}|[0-9]{1,2}/[0-9]{1,2}|[0-9]{3,4}-[0-9]{4}")
"""May be a date such as 9/11, a range of years or a phone number."""
_LABEL = re.compile(r"(?:^|(?<=[\s,;]))\(?([A-J])[).:](?=\s)\s*")
_AFTER_CHOICE = re.compile(r"[\s,;.?]*(?:\b(?:or|oder|ou|o))?\s*$", re.IGNORECASE)


class Puzzle(NamedTuple):
    """The right answer to a question, with plausible wrong ones."""

    right: str
    wrong: tuple[str, ...]

    def attempt(self, competence: float, rng: Random) -> str:
        """Return the right answer with probability `competence`, otherwise a wrong one."""
        return self.right if rng.random() < competence else rng.choice(self.wrong)


def read(question: str) -> Puzzle | None:
    """Return the puzzle that a question is; None if it is anything else."""
    if len(question) > _LONGEST:
        return None
    asked, *labelled = _LABEL.split(question)
    result = _asked_for(" ".join(asked.split()).rstrip(",;" if labelled else ""))
    if result is None:
        return None
    if not labelled:
        return Puzzle(shown(result), _near(result))
    return _among(result, labelled[::2], labelled[1::2])


def _asked_for(text: str) -> Fraction | None:
    """Return the value of the expression that a text asks for, if it asks for nothing else."""
    frame, end = _FRAME.match(text), _END.search(text)
    if frame is None or end is None or end.start() < frame.end():
        return None
    expression = text[frame.end() : end.start()]
    clear = frame["command"] or end["equals"]
    if not has_operation(expression) or (_LIKE_A_DATE.fullmatch(expression) and not clear):
        return None
    return value(expression)


def _among(result: Fraction, letters: list[str], texts: list[str]) -> Puzzle | None:
    """Return the puzzle of choosing a result; None unless every choice is a number and exactly one is right."""
    values = [value(_AFTER_CHOICE.sub("", text)) for text in texts]
    right = [letter for letter, each in zip(letters, values, strict=True) if each == result]
    wrong = tuple(letter for letter in letters if letter not in right)
    clear = len(set(letters)) == len(letters) and None not in values
    return Puzzle(right[0], wrong) if clear and len(right) == 1 and wrong else None


def _near(result: Fraction) -> tuple[str, ...]:
    """Return typical wrong answers: off by one, by two or by ten."""
    return tuple(shown(result + slip) for slip in (-10, -2, -1, 1, 2, 10))
