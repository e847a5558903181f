"""Compares the value of an answer that the vote step would count: its text, a field of its JSON, a match of a regex.

The right answer passes the same normalization, so that case, white space, quotes, emphasis and punctuation at the end
do not matter. With ``text``, the whole answer is compared: one that contains the right answer among other words is
wrong. A right answer without the field or a match is taken as the value itself. An answer without a value is wrong.
"""

from __future__ import annotations

from msgspec import Struct

from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.comparing import compared, digest_of, shown
from moa_mcp.evaluation.scoring.score import AnswerScore
from moa_mcp.extraction.fields import json_value
from moa_mcp.extraction.numerals import DecimalMark
from moa_mcp.extraction.patterns import PatternTooSlow
from moa_mcp.extraction.texts import whole_text
from moa_mcp.steps.extracting import Extractor, JsonField, Pattern, value_of, values_of


class Extraction(Struct, frozen=True):
    """Which value of an answer is read."""

    extract: Extractor
    decimal: DecimalMark | None = None


class ByValue(Struct, frozen=True):
    """Scores 1 if the value of an answer is that of the right answer."""

    extract: Extractor

    @property
    def name(self) -> str:
        match self.extract:
            case JsonField(json_name=field):
                return f'{{json = "{field}"}}'
            case Pattern(regex=regex):
                return f"{{regex = '{regex}'}}"
            case kind:
                return kind

    @property
    def is_free(self) -> bool:
        return True

    @property
    def digest(self) -> str:
        return digest_of(self.name)

    def problem_of(self, question: EvalQuestion) -> str:
        if question.answer is None:
            return "answer is missing"
        try:
            value = value_of(Extraction(self.extract), question.answer)
        except PatternTooSlow:
            value = None
        right = self._right(question.answer, value)
        return "" if right else f"answer {shown(question.answer)} has no text to compare"

    async def __call__(self, question: EvalQuestion, answer: str) -> AnswerScore:
        expected = question.answer or ""
        found = await values_of(Extraction(self.extract), [answer])
        (right,) = (await values_of(Extraction(self.extract), [expected])).values
        absent = found.notes[0].text if found.notes else f"the answer has no value of {self.name}"
        (value,) = found.values
        return compared(value, expected, equal=value in self._right(expected, right), absent=absent)

    def _right(self, expected: str, value: str | None) -> frozenset[str | None]:
        """Return the values that are right: that of the right answer, or this as the value itself."""
        if value is not None:
            return frozenset({value})
        literal = json_value(expected) if isinstance(self.extract, JsonField) else None
        return frozenset({literal, whole_text(expected)} - {None})
