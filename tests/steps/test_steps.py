from __future__ import annotations

import pytest

from moa_mcp.errors import RateLimited, ServerFailed
from moa_mcp.steps import prompts
from moa_mcp.testing import ScriptedModel, run_pipeline
from moa_mcp.values import Answer, Completion, Message, Note, Place, Question
from tests.support.tables import AGGREGATE, PROPOSE, asked, shown, steps

pytestmark = pytest.mark.anyio


async def test_proposers_see_the_question_alone_and_samples_are_calls_of_their_own() -> None:
    model = ScriptedModel()
    panel = '{ step = "propose", agents = ["a", { model = "b", samples = 2 }, "a"] }'
    trace = await run_pipeline(steps(panel, AGGREGATE), "Why?", model)
    assert [call.messages for call in model.calls[:4]] == [(Message("user", "Why?"),)] * 4
    assert trace.steps[0].answers == (
        Answer("a at 1.1", "a", Place(1, 1)),
        Answer("b at 1.2", "b", Place(1, 2)),
        Answer("b at 1.3", "b", Place(1, 3, sample=2)),
        Answer("a at 1.4", "a", Place(1, 4, sample=2)),
    )


async def test_the_answer_is_what_the_aggregator_makes_of_all_answers_in_order() -> None:
    model = ScriptedModel()
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    assert asked(model, 2) == [("z", ("a at 1.1", "b at 1.2", "c at 1.3"))]
    assert (trace.status, trace.answer, trace.error, trace.notes) == ("complete", "z at 2.1", None, ())


async def test_every_agent_of_a_layer_gets_the_same_bytes_and_no_authors_name() -> None:
    names = ["wizard", "mixtral", "qwen"]
    model = ScriptedModel(dict.fromkeys(names, "an answer"), otherwise="all together")
    panel = f"agents = {names}"
    layers = steps(f'{{ step = "propose", {panel} }}', f'{{ step = "synthesize", {panel} }}', AGGREGATE)
    await run_pipeline(layers, Question("Why?", system="Be brief."), model)
    messages = [call.messages for call in model.calls if call.place.step == 2]
    assert messages == [messages[0]] * 3
    assert not any(name in message.content for call in model.calls for message in call.messages for name in names)


async def test_each_layer_replaces_the_answers_before_it() -> None:
    model = ScriptedModel()
    middle = '{ step = "synthesize", agents = ["x", "y"] }'
    await run_pipeline(steps(PROPOSE, middle, middle, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("x", ("x at 2.1", "y at 2.2")), ("y", ("x at 2.1", "y at 2.2"))]
    assert asked(model, 4) == [("z", ("x at 3.1", "y at 3.2"))]


async def test_keep_puts_the_answer_so_far_beside_the_new_ones_as_often_as_it_says() -> None:
    model = ScriptedModel()
    again = '{ step = "propose", agents = ["d", "e"], keep = 3 }'
    await run_pipeline(steps(PROPOSE, AGGREGATE, again, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("d", ()), ("e", ())]
    assert asked(model, 4) == [("z", ("z at 2.1", "z at 2.1", "z at 2.1", "d at 3.1", "e at 3.2"))]


async def test_refiners_take_turns_and_each_sees_one_answer() -> None:
    model = ScriptedModel()
    refine = '{ step = "refine", agents = ["x", "y"] }'
    trace = await run_pipeline(steps(PROPOSE, refine, AGGREGATE), "Why?", model)
    assert asked(model, 2) == [("x", ("a at 1.1",)), ("y", ("b at 1.2",)), ("x", ("c at 1.3",))]
    assert trace.steps[1].answers == (
        Answer("x at 2.1", "x", Place(2, 1)),
        Answer("y at 2.2", "y", Place(2, 2)),
        Answer("x at 2.3", "x", Place(2, 3)),
    )


async def test_an_answer_whose_refinement_fails_stays_as_it_was_and_is_named() -> None:
    model = ScriptedModel({"y": ServerFailed("out of order")})
    refine = '{ step = "refine", agents = ["x", "y"] }'
    trace = await run_pipeline(steps(PROPOSE, refine, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", ("x at 2.1", "b at 1.2", "x at 2.3"))]
    assert (trace.status, trace.answer) == ("degraded", "z at 3.1")
    assert trace.notes == ("refine: 1 of 3 failed (y: out of order)", "refine: answer 2 was not refined")


async def test_a_failed_proposer_leaves_no_trace_in_a_prompt_and_is_named_in_the_notes() -> None:
    model = ScriptedModel({"b": RateLimited("slow down, says the host")})
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    (aggregator,) = model.calls_of("z")
    assert shown(aggregator) == ("a at 1.1", "c at 1.3")
    assert not any("slow down" in message.content for message in aggregator.messages)
    assert trace.steps[0].notes == (Note("1 of 3 failed (b: slow down, says the host)", degrades=True),)
    assert (trace.status, trace.answer) == ("degraded", "z at 2.1")
    assert trace.degradations == ("propose: 1 of 3 failed (b: slow down, says the host)",)


async def test_a_cut_answer_is_labelled_for_those_who_read_it() -> None:
    model = ScriptedModel({"b": Completion("The rest is", "b", finish_reason="length")})
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    system = model.calls_of("z")[0].messages[0].content
    assert [line.endswith(", cut off at its token limit -----") for line in system.splitlines() if "of 3" in line] == [
        False,
        True,
        False,
    ]
    assert (trace.status, trace.notes) == ("complete", ("b was cut off at its token limit",))


async def test_a_cut_result_is_degraded() -> None:
    model = ScriptedModel({"z": Completion("In the end", "z", finish_reason="length")})
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    assert (trace.status, trace.answer) == ("degraded", "In the end")
    assert trace.degradations == ("the answer was cut off at its token limit",)


async def test_a_steps_parameters_go_with_each_of_its_calls_and_defaults_fill_the_rest() -> None:
    model = ScriptedModel()
    panel = '{ step = "propose", agents = ["a"], temp = 0.2, max_tokens = 9, timeout_s = 3 }'
    await run_pipeline(steps(panel, AGGREGATE), "Why?", model, seed=5)
    assert [(call.agent, call.parameters, call.timeout_s, call.seed) for call in model.calls] == [
        ("a", {"temperature": 0.2, "max_tokens": 9}, 3, 5),
        ("z", {"temperature": 0.7, "max_tokens": 2048}, 180, 5),
    ]


async def test_a_prompt_takes_the_place_of_each_steps_instruction() -> None:
    model = ScriptedModel({"judge": ['{"ranking": [1, 2, 3]}', '{"answer": 1}'], "j": "what all say"})
    kinds = ["propose", "synthesize", "refine"]
    layers = [f'{{ step = "{kind}", agents = ["a", "b", "c"], prompt = "{kind.upper()}!" }}' for kind in kinds]
    judged = [
        '{ step = "rank", agent = "judge", prompt = "RANK!" }',
        '{ step = "vote", agent = "judge", prompt = "VOTE!" }',
    ]
    last = [
        '{ step = "vote", method = "restate", agent = "j", prompt = "RESTATE!" }',
        '{ step = "aggregate", agent = "z", prompt = "AGGREGATE!" }',
    ]
    await run_pipeline(steps(*layers, *judged, *last), "Why?", model)
    systems = {call.place.step: call.messages[0].content for call in model.calls}
    assert [systems[step].partition("!")[0] for step in sorted(systems)] == [
        "PROPOSE", "SYNTHESIZE", "REFINE", "RANK", "VOTE", "RESTATE", "AGGREGATE",
    ]  # fmt: skip
    own = (prompts.SYNTHESIZE, prompts.REFINE, prompts.RANK, prompts.VOTE, prompts.RESTATE)
    assert not any(text in system for text in own for system in systems.values())


async def test_take_hands_on_the_first_answers_and_names_the_others() -> None:
    trace = await run_pipeline(steps(PROPOSE, '{ step = "take", n = 1 }'), "Why?", ScriptedModel())
    assert (trace.answer, trace.notes) == ("a at 1.1", ("take: removed: 2, 3",))


async def test_take_of_more_than_there_are_takes_all_and_says_nothing() -> None:
    model = ScriptedModel()
    trace = await run_pipeline(steps(PROPOSE, '{ step = "take", n = 9 }', AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", ("a at 1.1", "b at 1.2", "c at 1.3"))]
    assert trace.notes == ()
