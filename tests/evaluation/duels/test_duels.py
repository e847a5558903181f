"""Two answers before a judge: both orders, blind, with ties, unreadable verdicts and failed runs apart."""

from __future__ import annotations

from typing import Any

import pytest

from moa_mcp.errors import ServerFailed
from moa_mcp.evaluation.duels.duel import duel
from moa_mcp.evaluation.duels.families import shared_families
from moa_mcp.evaluation.judges.prompts import CRITERIA
from moa_mcp.evaluation.result import Verdict
from moa_mcp.testing import Reply
from moa_mcp.values import Call
from tests.support.judges import JUDGE, ScriptedJudge, asking_over_http, question_of, saying
from tests.support.model_server import Body, ModelServer
from tests.support.model_server import Reply as HttpReply

pytestmark = pytest.mark.anyio

SHORT, LONG = "It is 4.", "It is 4, since 2 + 2 = 4."


async def fought(*replies: Reply, own: str = LONG, other: str = SHORT, rubric: str | None = None) -> tuple[Any, ...]:
    judge = ScriptedJudge(*replies)
    question = question_of(None, text="2 + 2?", line=7)
    return (judge, *await duel(judge, JUDGE, question, "moa", own, "one:m", other, rubric))


def likes(text: str) -> Reply:
    """Return a judge that prefers the answer with a text, wherever it is."""

    def reply(call: Call) -> str:
        user = call.messages[-1].content
        first = user.split("----- answer 1 (")[1].split("----- end of answer 1")[0]
        return str(saying("better", 1 if text in first else 2)(call))  # type: ignore[operator]

    return reply


@pytest.mark.parametrize(("liked", "preferred"), [("since", 1), ("four", 0)])
async def test_a_judge_with_a_taste_for_an_answer_says_the_same_in_both_orders(liked: str, preferred: float) -> None:
    _, one, other = await fought(likes(liked), other="It is four.")
    assert (one.preferred, other.preferred) == (preferred, preferred)


async def test_verdicts_are_of_the_contestant_and_say_who_was_first() -> None:
    judge, one, other = await fought(likes("since"))
    assert one == Verdict(
        question="7",
        contestant="moa",
        against="one:m",
        first="contestant",
        preferred=1,
        longer_by=len(LONG) - len(SHORT),
        why="It says so.",
        run_id=one.run_id,
    )
    assert other == one.model_copy(update={"first": "against", "run_id": other.run_id})
    assert {one.run_id, other.run_id} == {"r1", "r2"}
    assert not any(
        "moa" in f"{each.system}{each.text}" or "one:m" in f"{each.system}{each.text}" for each in judge.asked
    )


@pytest.mark.parametrize(
    ("place", "preferred"), [(1, (1, 0)), (2, (0, 1)), (0, (0.5, 0.5))], ids=["first", "second", "tie"]
)
async def test_a_judge_that_likes_a_place_contradicts_itself_and_a_tie_is_one_half(
    place: int, preferred: tuple[float, float]
) -> None:
    _, one, other = await fought(saying("better", place))
    assert (one.preferred, other.preferred) == preferred


@pytest.mark.parametrize("other", [LONG, f"  {LONG}\n", LONG.replace(" ", "\n")])
async def test_equal_texts_are_a_tie_and_nobody_is_asked(other: str) -> None:
    judge, one, second = await fought(own=LONG, other=other)
    assert judge.asked == []
    assert [(each.preferred, each.run_id, each.problem) for each in (one, second)] == [(0.5, None, "")] * 2
    assert one.why == "both answers have the same text"
    assert (one.first, second.first) == ("contestant", "against")


async def test_an_unreadable_verdict_is_asked_for_once_more_and_then_counts_for_nobody() -> None:
    judge, one, other = await fought("Both have merits.")
    assert len(judge.asked) == 4
    for each in (one, other):
        assert (each.preferred, each.problem) == (None, "")
        assert each.why == "the judge's reply has no verdict that can be read: Both have merits."
        assert each.run_id is not None


async def test_a_judge_that_fails_is_a_problem_and_no_unreadable_verdict() -> None:
    judge, one, other = await fought(ServerFailed("it is down"))
    assert len(judge.asked) == 2
    for each in (one, other):
        assert (each.preferred, each.why) == (None, "")
        assert each.problem.startswith("the judge did not reply: ")
        assert "it is down" in each.problem


@pytest.mark.parametrize(("rubric", "shown"), [(None, CRITERIA), ("Shorter is better.", "Shorter is better.")])
async def test_the_criteria_are_those_of_the_rubric(rubric: str | None, shown: str) -> None:
    judge, *_ = await fought(saying("better", 1), rubric=rubric)
    assert all(shown in (each.system or "") for each in judge.asked)
    assert judge.model.calls[0].parameters["temperature"] == 0


async def test_an_image_that_is_gone_is_a_problem_of_both_verdicts() -> None:
    judge = ScriptedJudge()
    one, other = await duel(judge, JUDGE, question_of(None, images=("/none/there.png",)), "moa", "x", "one:m", "y")
    assert judge.asked == []
    assert one.problem == other.problem
    assert one.problem.startswith("the judge was not asked: ")
    assert (one.run_id, one.preferred) == (None, None)


def longer(body: Body) -> str:
    """Prefer the longer answer, in words of a real model."""
    user = body["messages"][-1]["content"]
    first, second = (
        user.split(f"----- answer {number} (")[1].split(f"----- end of answer {number}")[0] for number in "12"
    )
    return f"Both are right.\n\n**Verdict: Answer {1 if len(first) > len(second) else 2}**"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_model_judges_over_http_in_its_own_words(serving: ModelServer) -> None:
    serving.clear()
    serving.script("judge", HttpReply(longer))
    async with asking_over_http(serving.url) as (ask, of):
        judge = of('{ step = "propose", agents = ["judge"] }')
        one, other = await duel(ask, judge, question_of(None), "moa", LONG, "one:m", SHORT)
    assert (one.preferred, other.preferred) == (1, 1)
    assert len(serving.requests) == 2


@pytest.mark.parametrize(
    ("judge", "models", "note"),
    [
        (["openai/gpt-5"], ["anthropic/claude-opus-4"], None),
        (["openai/gpt-5"], ["unknown-model"], None),
        (["unknown-model"], ["other-model"], None),
        (
            ["openai/gpt-5"],
            ["openrouter/openai/gpt-5-nano", "anthropic/claude-opus-4"],
            (
                "the judge and moa have models of OpenAI: judges tend to prefer answers of their family; "
                "use a judge of "
                "another maker"
            ),
        ),
        (
            ["openai/gpt-5", "anthropic/claude-opus-4"],
            ["openai/gpt-5-nano", "anthropic/claude-haiku-4"],
            (
                "the judge and moa have models of Anthropic and OpenAI: judges tend to prefer answers of "
                "their family; use "
                "a judge of another maker"
            ),
        ),
        (
            ["openai/gpt-5-nano"],
            ["openrouter/openai/gpt-5-nano-2025-08-07", "x"],
            (
                "openrouter/openai/gpt-5-nano-2025-08-07 is both a judge and a model of moa: judges tend "
                "to prefer their "
                "own answers; use a judge of another maker"
            ),
        ),
        (
            ["mine"],
            ["mine", "mine"],
            (
                "mine is both a judge and a model of moa: judges tend to prefer their own answers; use a "
                "judge of another "
                "maker"
            ),
        ),
    ],
)
def test_a_judge_of_the_family_of_a_contestant_is_named(judge: list[str], models: list[str], note: str | None) -> None:
    assert shared_families(judge, {"moa": models}) == ((note,) if note else ())
