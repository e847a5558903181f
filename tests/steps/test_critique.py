from __future__ import annotations

import pytest

from moa_mcp.errors import ServerFailed
from moa_mcp.planning.estimate import estimate
from moa_mcp.planning.forecast import prompt_tokens
from moa_mcp.planning.plan import StepPlan, plan
from moa_mcp.providers.simulated.provider import Offline
from moa_mcp.steps import prompts
from moa_mcp.testing import ScriptedModel, pipeline, run_pipeline
from moa_mcp.values import Answer, Call, Comment, Completion, Place, Question, token_limit
from tests.support.tables import AGGREGATE, PROPOSE, asked, steps

pytestmark = pytest.mark.anyio

CRITIQUE = '{ step = "critique", agents = ["x", "y"] }'
OWN = '{ step = "critique", agents = ["c", "a", "x"], own = true }'
TAKE = '{ step = "take", n = 1 }'
WHY = Question("Why?")


def comment(agent: str, number: int, step: int = 2) -> Comment:
    return Comment(f"{agent} at {step}.{number}", agent, Place(step, number))


async def test_every_agent_criticises_every_answer_by_itself() -> None:
    model = ScriptedModel()
    await run_pipeline(steps(PROPOSE, CRITIQUE, AGGREGATE), WHY, model)
    assert asked(model, 2) == [
        (agent, (answer,)) for answer in ("a at 1.1", "b at 1.2", "c at 1.3") for agent in ("x", "y")
    ]


async def test_the_next_step_sees_the_criticism_beside_the_answer_that_it_belongs_to() -> None:
    model = ScriptedModel()
    trace = await run_pipeline(steps(PROPOSE, CRITIQUE, AGGREGATE), WHY, model)
    criticised = (
        Answer("a at 1.1", "a", Place(1, 1), comments=(comment("x", 1), comment("y", 2))),
        Answer("b at 1.2", "b", Place(1, 2), comments=(comment("x", 3), comment("y", 4))),
        Answer("c at 1.3", "c", Place(1, 3), comments=(comment("x", 5), comment("y", 6))),
    )
    assert trace.steps[1].answers == criticised
    assert model.calls[-1].messages == prompts.synthesize(WHY, criticised, None)
    assert (trace.status, trace.answer, trace.notes) == ("complete", "z at 3.1", ())


async def test_a_refiner_sees_the_criticism_of_its_answer_alone() -> None:
    model = ScriptedModel()
    await run_pipeline(steps(PROPOSE, CRITIQUE, '{ step = "refine", agents = ["z"] }', TAKE), WHY, model)
    refined = {call.place.number: call.messages[0].content for call in model.calls if call.place.step == 3}
    assert [number for number, text in refined.items() if "x at 2.3" in text] == [2]


async def test_criticism_is_no_part_of_the_answer_that_is_chosen() -> None:
    trace = await run_pipeline(steps(PROPOSE, CRITIQUE, TAKE), WHY, ScriptedModel())
    assert (trace.status, trace.answer) == ("complete", "a at 1.1")


async def test_the_text_of_a_last_criticism_is_not_streamed_as_the_answer() -> None:
    seen: list[str] = []
    alone = steps('{ step = "propose", agents = ["a"] }', '{ step = "critique", agents = ["x"] }')
    trace = await run_pipeline(alone, WHY, ScriptedModel(), watch=lambda event: seen.append(event.kind))
    assert (trace.answer, seen.count("text_received")) == ("a at 1.1", 0)


async def test_with_own_an_agent_criticises_only_the_answers_that_it_wrote() -> None:
    model = ScriptedModel()
    trace = await run_pipeline(steps(PROPOSE, OWN, AGGREGATE), WHY, model)
    assert asked(model, 2) == [("a", ("a at 1.1",)), ("c", ("c at 1.3",))]
    assert [answer.comments for answer in trace.steps[1].answers] == [(comment("a", 1),), (), (comment("c", 2),)]
    assert trace.notes == ("critique: not criticised, since no agent of the step wrote them: 2",)
    assert trace.status == "complete"


async def test_with_own_no_call_is_made_where_no_agent_wrote_an_answer() -> None:
    model = ScriptedModel()
    trace = await run_pipeline(
        steps('{ step = "propose", agents = ["b"] }', OWN, '{ step = "refine", agents = ["z"] }'), WHY, model
    )
    assert (asked(model, 2), trace.answer, trace.status) == ([], "z at 3.1", "complete")


async def test_criticism_is_added_to_that_of_an_earlier_step() -> None:
    again = '{ step = "critique", agents = ["z"] }'
    trace = await run_pipeline(steps('{ step = "propose", agents = ["a"] }', CRITIQUE, again), WHY, ScriptedModel())
    assert trace.steps[2].answers[0].comments == (comment("x", 1), comment("y", 2), comment("z", 1, step=3))


async def test_an_answer_whose_criticism_fails_goes_on_without_it_and_is_named() -> None:
    def failing(call: Call) -> Completion:
        if call.place.number in {1, 3, 4}:
            raise ServerFailed("out of order")
        return Completion(f"{call.agent} at {call.place}", "p/m")

    model = ScriptedModel({"x": failing, "y": failing})
    trace = await run_pipeline(steps(PROPOSE, CRITIQUE, AGGREGATE), WHY, model)
    comments = [answer.comments for answer in trace.steps[1].answers]
    assert comments == [(comment("y", 2),), (), (comment("x", 5), comment("y", 6))]
    assert (trace.status, trace.answer) == ("degraded", "z at 3.1")
    assert trace.degradations == (
        "critique: 3 of 6 failed (x: out of order (2 times); y: out of order)",
        "critique: without criticism: 2",
    )


async def test_a_quorum_counts_criticisms() -> None:
    required = '{ step = "critique", agents = ["x"], quorum = 3 }'
    model = ScriptedModel({"x": ["good", ServerFailed("out of order"), "good"]})
    trace = await run_pipeline(steps(PROPOSE, required, AGGREGATE), WHY, model)
    assert (trace.status, trace.answer) == ("failed", None)


async def test_an_instruction_of_its_own_still_asks_for_criticism() -> None:
    model = ScriptedModel()
    strict = '{ step = "critique", agents = ["x"], prompt = "Be strict." }'
    await run_pipeline(steps(PROPOSE, strict, AGGREGATE), WHY, model)
    (first, *_) = [call for call in model.calls if call.agent == "x"]
    assert first.messages[0].content.startswith("Be strict.\n\n-----")
    assert prompts.asks_for_comments(first.messages[0].content)


def test_plan_and_estimate_count_a_call_for_each_agent_and_answer() -> None:
    chosen = pipeline(f'description = "d"\n{steps(PROPOSE, CRITIQUE, AGGREGATE)}')
    planned, found = plan(chosen), estimate(chosen, WHY, {})
    assert planned.steps[1] == StepPlan("critique", ("x", "y") * 3, 3)
    assert [(each.model, each.calls) for each in found.steps[1].models] == [("x", 3), ("y", 3)]
    assert planned.lint == ()


@pytest.mark.parametrize(
    ("between", "calls"), [((), 2), (('{ step = "take", n = 2 }',), 1), (('{ step = "shuffle" }',), 9)]
)
def test_own_criticism_is_counted_by_author_and_an_unknown_author_may_be_any_agent(
    between: tuple[str, ...], calls: int
) -> None:
    found = estimate(pipeline(steps(PROPOSE, *between, OWN, AGGREGATE)), WHY, {})
    assert found.steps[-2].calls == calls
    assert found.steps[-2].prompt.min <= found.steps[-2].prompt.expected <= found.steps[-2].prompt.max


async def test_the_estimate_of_what_follows_has_the_criticism_in_its_prompt() -> None:
    def longest(call: Call) -> Completion:
        return Completion("x" * 4 * (token_limit(call.parameters) or 0), call.agent, "length")

    trace = await run_pipeline(steps(PROPOSE, CRITIQUE, AGGREGATE), WHY, ScriptedModel(otherwise=longest))
    sent = [sum(prompt_tokens(call.messages) for call in step.calls) for step in trace.steps]
    assert sent == [step.prompt.max for step in estimate(pipeline(steps(PROPOSE, CRITIQUE, AGGREGATE)), WHY, {}).steps]


def test_equal_criticisms_at_temperature_0_look_like_a_mistake() -> None:
    equal = '{ step = "critique", agents = [{ model = "x", samples = 2 }], temp = 0 }'
    (lint,) = plan(pipeline(f'description = "d"\n{steps(PROPOSE, equal, AGGREGATE)}')).lint
    assert lint.message == "2 samples of x at temperature 0 will be 2 identical answers"


@pytest.mark.parametrize("last", [AGGREGATE, '{ step = "vote", agent = "z" }', '{ step = "rank", agent = "z", n = 1 }'])
@pytest.mark.parametrize("question", ["What is 17 * 23?", "Why is the sky blue?"])
async def test_simulated_critics_say_what_they_make_of_an_answer(question: str, last: str) -> None:
    trace = await run_pipeline(steps(PROPOSE, CRITIQUE, last), question, Offline(delay_s=0))
    texts = [comment.text for answer in trace.steps[1].answers for comment in answer.comments]
    assert (trace.status, len(texts)) == ("complete", 6)
    expected = "check results in" if "17" in question else "would criticize it here"
    assert all(text.startswith("[simulated ") and expected in text for text in texts)
