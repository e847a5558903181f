"""What the package offers for tests of pipelines, used as a reader of the documentation would."""

from __future__ import annotations

import anyio
import pytest

from moa_mcp.errors import ConfigError, RateLimited, ServerFailed
from moa_mcp.testing import ScriptedModel, pipeline, run_pipeline
from moa_mcp.values import Call, Completion, Message, Place, Question
from tests.support.tables import AGGREGATE, PROPOSE, steps

pytestmark = pytest.mark.anyio


async def test_a_pipeline_is_run_in_one_line() -> None:
    model = ScriptedModel({"a": "Paris", "b": RateLimited("too many requests"), "judge": ["?", '{"answer": 1}']})
    text = 'steps = [{ step = "propose", agents = ["a", "b", "c"] }, { step = "vote", agent = "judge" }]'
    trace = await run_pipeline(text, "Capital of France?", model)
    assert (trace.status, trace.answer) == ("degraded", "Paris")
    assert len(model.calls_of("judge")) == 2


async def test_a_loaded_pipeline_and_a_whole_question_can_be_run_too() -> None:
    model = ScriptedModel()
    question = Question("Why?", context="Because.", system="Be brief.")
    trace = await run_pipeline(pipeline(steps(PROPOSE, AGGREGATE)), question, model, seed=7)
    assert (trace.question, trace.seed, trace.answer) == (question, 7, "z at 2.1")


async def test_any_name_is_a_model_and_any_text_a_prompt() -> None:
    model = ScriptedModel()
    table = r"""{ step = "propose", agents = ["it's/x 1", 'b'], prompt = "Don't \"guess\"." }"""
    trace = await run_pipeline(steps(table, AGGREGATE), "Why?", model)
    assert (trace.steps[0].models, trace.answer) == (("it's/x 1", "b"), "z at 2.1")
    assert model.calls[0].messages[0] == Message("system", 'Don\'t "guess".')


async def ask(model: ScriptedModel, agent: str = "a") -> Completion:
    return await model(Call("r", Place(1, 1), agent, (Message("user", "Why?"),), {}, seed=0))


async def test_an_agent_says_what_it_is_told_to_and_the_last_of_a_list_from_then_on() -> None:
    whole = Completion("whole", "served", finish_reason="length")
    model = ScriptedModel({"a": ["one", whole, lambda call: f"three for {call.agent}"]}, otherwise="other")
    assert [await ask(model) for _ in range(4)] == [
        Completion("one", "a"),
        whole,
        Completion("three for a", "a"),
        Completion("three for a", "a"),
    ]
    assert await ask(model, "b") == Completion("other", "b")


async def test_an_agent_can_fail_for_certain_or_by_decision() -> None:
    error = ServerFailed("500")
    for reply in (error, lambda _: error):
        with pytest.raises(ServerFailed) as caught:
            await ask(ScriptedModel({"a": reply}))
        assert caught.value is error


async def test_an_agent_can_wait_before_it_replies() -> None:
    may = anyio.Event()

    async def patient(_: Call) -> str:
        await may.wait()
        return "now"

    model = ScriptedModel({"a": patient})
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, model)
            await anyio.wait_all_tasks_blocked()
            assert len(model.calls) == 1
            may.set()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "steps = [{ step = 'take', m = 1 }]",
            "pipelines.test, step 1, n: is missing",
        ),
        ("steps = 3", "pipelines.test.steps: 3 should be a list"),
        ("steps = [3]", "pipelines.test, step 1: 3 should be a table"),
        ("steps = [", "not valid TOML: Invalid value"),
    ],
)
def test_a_faulty_pipeline_says_what_is_wrong(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline(text)
    assert str(caught.value.problems[0]).startswith(fault)
