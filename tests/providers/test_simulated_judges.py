"""Simulated judges of evaluations: their verdicts have the form that was asked for, and say that they are simulated."""

from __future__ import annotations

from collections import Counter

import pytest

from moa_mcp.config import Pipeline
from moa_mcp.evaluation.judges import prompts
from moa_mcp.evaluation.judges.prompts import JudgePrompt
from moa_mcp.providers.simulated.provider import Offline
from moa_mcp.testing import run_pipeline
from moa_mcp.verdicts.grades import WORDS, GradeScale, read_grade
from moa_mcp.verdicts.preferences import read_preference
from tests.support.judges import JUDGE, question_of

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

PANEL = (
    'steps = [{ step = "propose", agents = ["a", "b"] }, { step = "vote", agent = "c" }]',
    'steps = [{ step = "propose", agents = ["a", "b"] }, { step = "aggregate", agent = "c" }]',
)


async def reply(prompt: JudgePrompt, judge: Pipeline | str = JUDGE, seed: int = 0) -> str:
    trace = await run_pipeline(judge, prompt.question, Offline(0), seed=seed)
    assert trace.answer is not None
    assert '"simulated": true' in trace.answer
    return trace.answer


@pytest.mark.parametrize(("answer", "share"), [("It is 391.", 1), ("It is 390.", 0)])
@pytest.mark.parametrize("scale", [WORDS, GradeScale(1, 5), GradeScale(-1, 0.5)])
async def test_an_answer_with_the_reference_in_it_is_right(answer: str, share: float, scale: GradeScale) -> None:
    prompt = prompts.grade(question_of("391"), answer, "Be strict.", scale)
    grade = read_grade(await reply(prompt), prompt.asked, scale)
    assert grade == share


async def test_without_a_reference_verdicts_are_random_and_of_all_kinds() -> None:
    graded = prompts.grade(question_of(None), "x", "Be strict.", WORDS)
    compared = prompts.compare(question_of(None), "x", "y")
    grades = Counter([read_grade(await reply(graded, seed=seed), graded.asked, WORDS) for seed in range(30)])
    better = Counter([read_preference(await reply(compared, seed=seed), compared.asked) for seed in range(30)])
    assert {*grades} == {0, 0.5, 1}
    assert {*better} == {0, 1, 2}


@pytest.mark.parametrize("steps", PANEL)
async def test_a_simulated_panel_judges_too(steps: str) -> None:
    prompt = prompts.grade(question_of("391"), "It is 391.", "Be strict.", WORDS)
    assert read_grade(await reply(prompt, steps), prompt.asked, WORDS) == 1
