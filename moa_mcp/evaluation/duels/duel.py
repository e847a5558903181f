"""A duel of two answers: a judge compares them in both orders, so that its liking for a place shows."""

from __future__ import annotations

from typing import Literal, TypeAlias

import anyio

from moa_mcp.config import Pipeline
from moa_mcp.evaluation.asking import Ask
from moa_mcp.evaluation.judges import prompts
from moa_mcp.evaluation.judges.judging import EvalJudge, Heard, at_temperature_0
from moa_mcp.evaluation.judges.prompts import JudgePrompt
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.result import Verdict
from moa_mcp.images import Image
from moa_mcp.verdicts.preferences import Preference, read_preference

First: TypeAlias = Literal["contestant", "against"]
_ORDERS: tuple[First, First] = ("contestant", "against")
_SAME = "both answers have the same text"


async def duel(
    ask: Ask,
    judge: Pipeline,
    question: EvalQuestion,
    contestant: str,
    contestant_answer: str,
    against: str,
    against_answer: str,
    rubric: str | None = None,
) -> tuple[Verdict, Verdict]:
    """Return the verdicts of a judge on two answers, first with that of the contestant first, then the other way.

    Answers that differ in nothing but white space are a tie, without a call.
    """
    answers = (contestant_answer, against_answer)
    if contestant_answer.split() == against_answer.split():
        heard = [Heard[Preference](0, _SAME, "", ()) for _ in _ORDERS]
    else:
        steady = EvalJudge(at_temperature_0(judge), ask)
        heard = await anyio.amap(lambda first: _heard(steady, question, _shown(answers, first), rubric), _ORDERS)
    own_first, other_first = (
        Verdict(
            question=question.id,
            contestant=contestant,
            against=against,
            first=first,
            preferred=_share(reply.verdict, first),
            longer_by=len(contestant_answer) - len(against_answer),
            why=reply.why,
            problem=reply.problem,
            run_id=reply.asked[-1].run_id if reply.asked else None,
        )
        for first, reply in zip(_ORDERS, heard, strict=True)
    )
    return own_first, other_first


async def _heard(
    judge: EvalJudge, question: EvalQuestion, shown: tuple[str, str], rubric: str | None
) -> Heard[Preference]:
    def pose(*, images: tuple[Image, ...], again: bool) -> JudgePrompt:
        return prompts.compare(question, *shown, rubric, images=images, again=again)

    return await judge.hear(question, pose, read_preference)


def _shown(answers: tuple[str, str], first: First) -> tuple[str, str]:
    own, other = answers
    return (own, other) if first == "contestant" else (other, own)


def _share(better: Preference | None, first: First) -> float | None:
    """Return how much the answer of the contestant is preferred."""
    if better is None:
        return None
    if better == 0:
        return 0.5
    return float((better == 1) == (first == "contestant"))
