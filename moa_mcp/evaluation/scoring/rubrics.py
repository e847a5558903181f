"""A rubric: what a judge grades by, and on which scale.

A line ``Scale: 1 to 5`` sets the scale. Without one, the only range that the rubric names after a word such as score,
rate or points is taken; and without any, the grades are correct, partly and incorrect.
"""

from __future__ import annotations

import re

from msgspec import Struct

from moa_mcp.verdicts.grades import WORDS, GradeScale

DEFAULT = (
    "An answer is correct if it says what the reference says, in any words, and nothing that contradicts it. It is "
    "partly correct if it has some of what the reference asks for and the rest is missing or wrong. It is incorrect "
    "if its result differs, if it gives several results without a decision, or if it does not answer. Length, style "
    "and format do not matter unless the question asks for them."
)
DEFAULT_OPEN = (
    "An answer is correct if it is true, does what the question asks, and leaves out nothing that is needed. It is "
    "partly correct if it is useful but has an error or a gap that matters. It is incorrect if it is wrong in the "
    "main point or does not answer. Length, style and format do not matter unless the question asks for them."
)
_LONGEST = 20_000
_NUMBER = r"-?\d{1,4}(?:\.\d{1,3})?"
_RANGE = rf"(?P<low>{_NUMBER})\s?(?:to|through|[-\u2013\u2014]|\.\.\.?)\s?(?P<high>{_NUMBER})(?!\d|\.\d|\s?%)"
_LINE = re.compile(rf"^[\s*#-]*scale[\s*]*:[\s*]*(?:from\s)?{_RANGE}[\s.*]*$", re.IGNORECASE | re.MULTILINE)
_WRITTEN_LINE = re.compile(r"^[\s*#-]*scale[\s*]*:(?P<rest>.*)$", re.IGNORECASE | re.MULTILINE)
_NAMED = re.compile(
    rf"\b(?:scale|scor(?:e|es|ing)|rat(?:e|es|ing)|grad(?:e|es|ing)|points?|marks?)\b[^.\n]{{0,60}}?(?<![\d.]){_RANGE}",
    re.IGNORECASE,
)


class RubricRefused(ValueError):
    """A rubric can't be used. The message says why, and what to write."""


class Rubric(Struct, frozen=True):
    """What a judge grades by."""

    text: str
    """Empty for the default."""
    scale: GradeScale = WORDS

    def criteria(self, *, reference: bool) -> str:
        """Return the text; without one, the default for a question with or without a right answer."""
        return self.text or (DEFAULT if reference else DEFAULT_OPEN)


NO_RUBRIC = Rubric("")


def rubric_of(text: str | None) -> Rubric:
    """Return the rubric of a text; None stands for the default.

    Raises:
        RubricRefused: it is empty or too long, or its scale is not clear.

    """
    if text is None:
        return NO_RUBRIC
    plain = text.strip()
    if not plain:
        raise RubricRefused("the rubric is empty; write what makes an answer right")
    if len(plain) > _LONGEST:
        raise RubricRefused(
            f"the rubric has {len(plain):,} characters; use at most {_LONGEST:,}, as each prompt has it"
        )
    return Rubric(plain, _scale(plain))


def _scale(text: str) -> GradeScale:
    line = _LINE.search(text)
    if line is not None:
        return _of_range(line)
    if written := _WRITTEN_LINE.search(text):
        raise RubricRefused(f"the scale {written['rest'].strip()[:60]!r} of the rubric can't be read; {_EXAMPLE}")
    found = {_of_range(each) for each in _NAMED.finditer(text)}
    if len(found) > 1:
        raise RubricRefused(f"the rubric names several scales ({', '.join(sorted(map(str, found)))}); {_EXAMPLE}")
    return found.pop() if found else WORDS


_EXAMPLE = "add a line such as: Scale: 1 to 5"


def _of_range(found: re.Match[str]) -> GradeScale:
    low, high = float(found["low"]), float(found["high"])
    if low >= high:
        raise RubricRefused(f"the scale {found['low']} to {found['high']} does not rise; {_EXAMPLE}")
    return GradeScale(low, high)
