"""Scores by a judge that grades one answer from the rubric and, if there is one, the right answer."""

from __future__ import annotations

from msgspec import Struct

from moa_mcp.evaluation.judges import prompts
from moa_mcp.evaluation.judges.judging import EvalJudge, digest_of_judge
from moa_mcp.evaluation.judges.prompts import JudgePrompt
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.rubrics import NO_RUBRIC, Rubric
from moa_mcp.evaluation.scoring.score import AnswerScore
from moa_mcp.images import Image
from moa_mcp.verdicts import Asked
from moa_mcp.verdicts.grades import read_grade


class ByJudge(Struct, frozen=True):
    """Scores an answer by the grade of a judge."""

    judge: EvalJudge
    rubric: Rubric = NO_RUBRIC

    @property
    def name(self) -> str:
        return "judge"

    @property
    def is_free(self) -> bool:
        return False

    @property
    def digest(self) -> str:
        return digest_of_judge(self.judge.pipeline, self.rubric.text)

    def problem_of(self, question: EvalQuestion) -> str:
        """Return nothing: a judge grades without a right answer, too."""
        del question
        return ""

    async def __call__(self, question: EvalQuestion, answer: str) -> AnswerScore:
        criteria = self.rubric.criteria(reference=question.answer is not None)

        def pose(*, images: tuple[Image, ...], again: bool) -> JudgePrompt:
            return prompts.grade(question, answer, criteria, self.rubric.scale, images=images, again=again)

        def read(reply: str, asked: Asked) -> float | None:
            return read_grade(reply, asked, self.rubric.scale)

        heard = await self.judge.hear(question, pose, read)
        return AnswerScore(heard.verdict, None, heard.why, heard.problem, heard.asked)
