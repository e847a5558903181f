"""The model that is asked when a step's only one gave no answer."""

from __future__ import annotations

import pytest

from moa_mcp.errors import ServerFailed
from moa_mcp.planning.estimate import UNROUTED, Priced, estimate
from moa_mcp.planning.plan import blocking, plan
from moa_mcp.testing import Reply, ScriptedModel, pipeline, run_pipeline
from moa_mcp.values import Question
from tests.support.tables import PROPOSE, asked, faults, pipe, steps

pytestmark = pytest.mark.anyio

DOWN = ServerFailed("down")
AGGREGATE = '{ step = "aggregate", agent = "z", fallback_agent = "y" }'
RESTATE = '{ step = "vote", method = "restate", agent = "z", fallback_agent = "y" }'
VOTE = '{ step = "vote", agent = "z", fallback_agent = "y" }'
RANK = '{ step = "rank", agent = "z", fallback_agent = "y", n = 1, passes = 2 }'


def judged(reply: str) -> ScriptedModel:
    return ScriptedModel({"z": DOWN, "y": reply})


@pytest.mark.parametrize(("step", "answer"), [(AGGREGATE, "y at 2.2"), (RESTATE, "y at 2.2"), (VOTE, "b at 1.2")])
async def test_the_fallback_is_asked_the_same_when_the_agent_gave_no_answer(step: str, answer: str) -> None:
    replies: dict[str, Reply | list[Reply]] = {"z": DOWN, **({"y": '{"answer": 2}'} if step == VOTE else {})}
    model = ScriptedModel(replies)
    trace = await run_pipeline(steps(PROPOSE, step), "Why?", model)
    assert (trace.status, trace.answer) == ("degraded", answer)
    (first, seen), (second, seen_too) = asked(model, 2)
    assert (first, second, seen) == ("z", "y", seen_too)
    assert trace.degradations == (f"{trace.steps[1].kind}: asked y in place of z: no answer came: z: down",)


async def test_a_ranking_by_the_fallback_has_all_its_passes() -> None:
    model = judged('{"ranking": [1]}')
    trace = await run_pipeline(steps(PROPOSE, RANK), "Why?", model)
    assert trace.status == "degraded"
    assert [agent for agent, _ in asked(model, 2)] == ["z", "z", "y", "y"]


async def test_a_judge_that_names_nothing_readable_has_its_fallback_asked() -> None:
    model = ScriptedModel({"z": "?", "y": '{"answer": 3}'})
    trace = await run_pipeline(steps(PROPOSE, VOTE), "Why?", model)
    assert (trace.status, trace.answer) == ("degraded", "c at 1.3")


async def test_an_agent_that_answers_leaves_its_fallback_alone() -> None:
    model = ScriptedModel()
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    assert (trace.status, trace.answer) == ("complete", "z at 2.1")
    assert model.calls_of("y") == []


async def test_if_both_fail_the_error_says_so_and_the_proposals_are_kept() -> None:
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", ScriptedModel({"z": DOWN, "y": DOWN}))
    assert (trace.status, trace.answer) == ("failed", None)
    second = "then y was asked: no answer came: y: down"
    assert trace.error == f"step 2 (aggregate): no answer came: z: down; {second}"
    assert [answer.text for answer in trace.steps[0].answers] == ["a at 1.1", "b at 1.2", "c at 1.3"]


def test_a_fallback_that_can_be_reached_keeps_an_unreachable_agent_from_blocking_a_run() -> None:
    chosen = pipeline(steps(PROPOSE, AGGREGATE))
    assert blocking(chosen, {"z"}) == blocking(chosen, {"y"}) == ()
    assert blocking(chosen, {"z", "y"}) == ("z",)


def test_a_fallback_is_counted_only_where_its_agent_can_not_be_reached() -> None:
    chosen = pipeline(steps(PROPOSE, AGGREGATE))
    here = Priced("openai/x", None, "")
    prices = dict.fromkeys("abczy", here)
    assert plan(chosen).calls == 4
    assert [each.model for each in estimate(chosen, Question("Why?"), prices).steps[1].models] == ["z"]
    lost = estimate(chosen, Question("Why?"), {**prices, "z": UNROUTED})
    assert [each.model for each in lost.steps[1].models] == ["y"]


def test_a_fallback_must_be_a_model_that_can_be_asked() -> None:
    unknown = '{ step = "aggregate", agent = "openai/x", fallback_agent = "nobody" }'
    (fault,) = faults(pipe('{ step = "propose", agents = ["openai/x"] }', unknown))
    assert fault.startswith("pipelines.p, step 2, fallback_agent: unknown model 'nobody'")
    counted = '{ step = "vote", method = "majority", fallback_agent = "openai/x" }'
    (fault,) = faults(pipe('{ step = "propose", agents = ["openai/x", "openai/y"] }', counted))
    assert fault.endswith("'openai/x' would not be called: method = \"majority\" only counts; remove fallback_agent")
