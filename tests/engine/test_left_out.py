"""Steps whose calls could not be made for want of means: the run does without them where it can."""

from __future__ import annotations

import pytest

from moa_mcp.errors import CallSkipped, ServerFailed
from moa_mcp.testing import ScriptedModel, run_pipeline
from tests.support.tables import AGGREGATE, PROPOSE, asked, steps

pytestmark = pytest.mark.anyio

SYNTHESIZE = '{ step = "synthesize", agents = ["x", "y"], quorum = 2 }'
NO_MONEY = CallSkipped("the budget is used up")


async def test_a_step_in_the_middle_without_means_is_left_out_and_the_answers_before_it_go_on() -> None:
    model = ScriptedModel({"y": NO_MONEY})
    trace = await run_pipeline(steps(PROPOSE, SYNTHESIZE, AGGREGATE), "Why?", model)
    assert (trace.status, trace.answer) == ("degraded", "z at 3.1")
    assert trace.degradations == (
        "synthesize: skipped: 1 of 2 calls were answered, 2 are needed: y: the budget is used up",
    )
    assert asked(model, 3) == [("z", ("a at 1.1", "b at 1.2", "c at 1.3"))]
    assert trace.steps[1].answers == trace.steps[0].answers


async def test_a_step_that_would_have_failed_with_means_too_is_not_left_out() -> None:
    model = ScriptedModel({"x": ServerFailed("down"), "y": NO_MONEY})
    trace = await run_pipeline(steps(PROPOSE, SYNTHESIZE, AGGREGATE), "Why?", model)
    assert (trace.status, trace.answer) == ("failed", None)


@pytest.mark.parametrize(
    ("tables", "broke"),
    [
        ((PROPOSE, AGGREGATE), "abc"),
        ((PROPOSE, AGGREGATE), "z"),
        ((PROPOSE, '{ step = "rank", agent = "x", n = 1 }', '{ step = "refine", agents = ["y"] }'), "x"),
        ((PROPOSE, AGGREGATE, '{ step = "take", n = 1 }'), "z"),
    ],
    ids=["the first", "the last", "the one that chooses", "the last that asks"],
)
async def test_a_step_without_which_there_is_no_one_answer_fails_the_run_for_want_of_means(
    tables: tuple[str, ...], broke: str
) -> None:
    model = ScriptedModel(dict.fromkeys(broke, NO_MONEY))
    trace = await run_pipeline(steps(*tables), "Why?", model)
    assert (trace.status, trace.answer) == ("failed", None)
    assert trace.error is not None
    assert trace.error.endswith(f"{broke[-1]}: the budget is used up")


async def test_too_little_for_some_calls_of_a_step_that_has_its_quorum_is_a_failure_like_any_other() -> None:
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", ScriptedModel({"b": NO_MONEY}))
    assert (trace.status, trace.answer) == ("degraded", "z at 2.1")
    assert trace.degradations == ("propose: 1 of 3 failed (b: the budget is used up)",)
