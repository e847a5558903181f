"""A tutorial in tests, part 1: what a pipeline is, and what its steps do.

Read the three files in their order, top to bottom. The models are scripted: `ScriptedModel` maps each agent to its
reply. `run_pipeline` runs the steps and returns the trace of the run.
"""

from __future__ import annotations

import pytest

from moa_mcp.config import parse
from moa_mcp.testing import ScriptedModel, run_pipeline
from moa_mcp.values import Call, Completion, Tally, Votes

pytestmark = pytest.mark.anyio


def test_a_pipeline_is_a_named_list_of_steps_in_a_toml_file() -> None:
    """Each `[pipelines.NAME]` table has a description, which tells an agent when to use it, and steps."""
    config = parse("""
        [pipelines.panel]
        description = "Two models propose, one aggregates."
        steps = [
            { step = "propose", agents = ["openai/x", "openai/y"] },
            { step = "aggregate", agent = "openai/z" },
        ]
    """)
    panel = config.pipelines["panel"]
    assert [(step.step, step.models) for step in panel.steps] == [
        ("propose", ("openai/x", "openai/y")),
        ("aggregate", ("openai/z",)),
    ]


async def test_a_step_calls_its_agents_and_returns_their_answers() -> None:
    """The smallest pipeline is one agent that answers the question."""
    model = ScriptedModel({"x": "Paris"})
    trace = await run_pipeline('steps = [{ step = "propose", agents = ["x"] }]', "Capital of France?", model)
    assert (trace.status, trace.answer) == ("complete", "Paris")


async def test_a_second_layer_reads_the_answers_of_the_first() -> None:
    """The agents of `propose` see only the question; the agent of `aggregate` also sees their answers."""
    steps = 'steps = [{ step = "propose", agents = ["x", "y"] }, { step = "aggregate", agent = "z" }]'
    model = ScriptedModel({"x": "It is Paris.", "y": "Paris, I think.", "z": "Paris"})
    trace = await run_pipeline(steps, "Capital of France?", model)
    assert trace.answer == "Paris"
    (aggregation,) = model.calls_of("z")
    instruction, question = aggregation.messages
    assert "It is Paris." in instruction.content
    assert "Paris, I think." in instruction.content
    assert question.content == "Capital of France?"


async def test_synthesize_turns_several_answers_into_as_many_better_ones() -> None:
    """Every agent of `synthesize` combines all previous answers, so such layers can be repeated."""
    layer = '{ step = "synthesize", agents = ["x", "y"] }'
    steps = f'steps = [{{ step = "propose", agents = ["x", "y"] }}, {layer}, {layer}, {{ step = "take", n = 1 }}]'
    model = ScriptedModel({"x": ["draft", "better", "best"]})
    trace = await run_pipeline(steps, "Why?", model)
    assert [len(step.answers) for step in trace.steps] == [2, 2, 2, 1]
    assert trace.answer == "best"


async def test_a_majority_vote_counts_equal_answers_without_a_model() -> None:
    """`extract` selects what is counted, and the answer that is returned is one of the proposals, unchanged."""
    steps = """steps = [
        { step = "propose", agents = ["x", "y", "z"] },
        { step = "vote", method = "majority", extract = "last_number" },
    ]"""
    model = ScriptedModel({"x": "17 * 23 = 391", "y": "I get 401.", "z": "The product is 391."})
    trace = await run_pipeline(steps, "What is 17 * 23?", model)
    assert trace.answer == "17 * 23 = 391"
    assert trace.steps[-1].tally == Tally((Votes("391", 2, answers=(1, 3)), Votes("401", 1, answers=(2,))))


async def test_a_judge_ranks_the_answers_and_the_best_go_on() -> None:
    """`rank` asks its agent for the numbers of the answers, best first, and keeps the first `n`."""
    steps = """steps = [
        { step = "propose", agents = ["x", "y", "z"] },
        { step = "rank", agent = "judge", n = 2 },
        { step = "aggregate", agent = "z" },
    ]"""
    trace = await run_pipeline(steps, "Why?", ScriptedModel({"judge": '{"ranking": [3, 1, 2]}'}))
    assert [answer.agent for answer in trace.steps[1].answers] == ["z", "x"]


async def test_a_model_is_any_async_callable_that_takes_a_call_and_returns_a_completion() -> None:
    """Providers, and the layers that retry, record and limit calls, all have this one method."""

    class Echo:
        async def __call__(self, call: Call) -> Completion:
            return Completion(call.messages[-1].content.upper(), model="echo-1")

    trace = await run_pipeline('steps = [{ step = "propose", agents = ["x"] }]', "Why?", Echo())
    assert trace.answer == "WHY?"
