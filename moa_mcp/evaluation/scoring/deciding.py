"""Scores each question in the way that its right answer asks for."""

from __future__ import annotations

from msgspec import Struct

from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.choices import ByChoice
from moa_mcp.evaluation.scoring.comparing import CheckedScorer, digest_of
from moa_mcp.evaluation.scoring.json_values import ByJson, is_json
from moa_mcp.evaluation.scoring.numbers import ByNumber, is_numeric
from moa_mcp.evaluation.scoring.score import AnswerScore


class ByEach(Struct, frozen=True):
    """Scores a question with choices as one, and others by what their right answer is: a number, JSON or a text."""

    number: ByNumber
    json: ByJson
    otherwise: CheckedScorer
    """For texts."""

    @property
    def name(self) -> str:
        return "auto"

    @property
    def is_free(self) -> bool:
        return self.otherwise.is_free

    @property
    def digest(self) -> str:
        return digest_of(self.name, self.number.digest, self.json.digest, self.otherwise.digest)

    def of(self, question: EvalQuestion) -> CheckedScorer:
        """Return what scores a question."""
        if question.choices:
            return ByChoice()
        if is_numeric(question.answer or ""):
            return self.number
        return self.json if is_json(question.answer or "") else self.otherwise

    def is_text(self, question: EvalQuestion) -> bool:
        """Return whether the right answer is a text."""
        return self.of(question) is self.otherwise

    def problem_of(self, question: EvalQuestion) -> str:
        return self.of(question).problem_of(question)

    async def __call__(self, question: EvalQuestion, answer: str) -> AnswerScore:
        return await self.of(question)(question, answer)
