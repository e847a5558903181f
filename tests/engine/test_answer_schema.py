"""Answers in JSON by a schema: which calls are asked for them, and what follows replies that are not valid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moa_mcp.engine.execute import RunSpec, execute
from moa_mcp.errors import ServerFailed
from moa_mcp.events import Event
from moa_mcp.steps.prompts import IN_JSON, asked_form
from moa_mcp.steps.results import writers
from moa_mcp.testing import ScriptedModel
from moa_mcp.trace.trace import Trace, trace_of
from moa_mcp.values import Call, Completion, Question
from moa_mcp.viewer.data import data_of
from tests.support.journals import config_of
from tests.support.tables import PROPOSE

pytestmark = pytest.mark.anyio

SCHEMA = json.dumps(
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
)
WRONG, RIGHT = '{"a": "x"}', '{"a": 1}'
AGGREGATE = '{ step = "aggregate", agent = "x" }'
FALLBACK = '{ step = "aggregate", agent = "x", fallback_agent = "y" }'
INVALID = "the answer is not JSON that the answer schema accepts: at /a: 'x' is not of type 'integer'"


async def run(model: ScriptedModel, *steps: str, schema: str = SCHEMA, **more: Any) -> Trace:
    pipeline = config_of(*(steps or (PROPOSE, AGGREGATE))).pipelines["p"]
    events: list[Event] = []
    await execute(RunSpec("r", pipeline, Question("Why?", answer_schema=schema), 1, **more), model, events.append)
    return trace_of(events)


def asked_for_json(model: ScriptedModel) -> list[str]:
    return [call.agent for call in model.calls if any(IN_JSON in message.content for message in call.messages)]


def judged(call: Call) -> str:
    """Return the verdict that the prompt asks for, or JSON by the schema."""
    form = asked_form(call.messages[0].content)
    if form is None:
        return RIGHT
    return json.dumps({"key": form.key, form.field: [1, 2, 3] if form.field == "ranking" else 1})


@pytest.mark.parametrize(
    ("steps", "asked"),
    [
        ((PROPOSE, AGGREGATE), ["x"]),
        (('{ step = "propose", agents = ["a"] }',), ["a"]),
        ((PROPOSE, '{ step = "synthesize", agents = ["x", "y"] }', AGGREGATE), ["x"]),
        ((PROPOSE, '{ step = "synthesize", agents = ["x", "y"] }', '{ step = "take", n = 1 }'), ["x", "y"]),
        ((PROPOSE, '{ step = "vote", agent = "z" }'), ["a", "b", "c"]),
        ((PROPOSE, '{ step = "vote", agent = "z", method = "restate" }'), ["z"]),
        ((PROPOSE, '{ step = "critique", agents = ["z"] }', '{ step = "rank", agent = "z", n = 1 }'), ["a", "b", "c"]),
        ((PROPOSE, AGGREGATE, '{ step = "refine", agents = ["y"] }'), ["y"]),
        (
            (PROPOSE, AGGREGATE, '{ step = "propose", agents = ["b"], keep = 1 }', '{ step = "take", n = 1 }'),
            ["x", "b"],
        ),
    ],
)
async def test_the_calls_whose_replies_may_become_the_result_are_asked_for_json(
    steps: tuple[str, ...], asked: list[str]
) -> None:
    model = ScriptedModel({"z": judged}, RIGHT)
    pipeline = config_of(*steps).pipelines["p"]
    trace = await run(model, *steps)
    assert sorted(asked_for_json(model)) == sorted(asked)
    assert len([each for each in writers(pipeline.steps) if each]) == (2 if "keep" in str(steps) else 1)
    assert (trace.answer, trace.answer_json) == (RIGHT, {"a": 1})


async def test_a_run_without_a_schema_sends_the_prompts_that_it_sent_before() -> None:
    plain, model = ScriptedModel(), ScriptedModel(otherwise=RIGHT)
    events: list[Event] = []
    await execute(RunSpec("r", config_of(PROPOSE, AGGREGATE).pipelines["p"], Question("Why?"), 1), plain, events.append)
    await run(model)
    assert [call.messages for call in plain.calls[:3]] == [call.messages for call in model.calls[:3]]
    assert not asked_for_json(plain)
    assert (trace_of(events).answer_json, trace_of(events).is_valid) == (None, True)


async def test_words_and_fences_around_the_json_need_no_further_call() -> None:
    trace = await run(ScriptedModel({"x": f"Here it is:\n```json\n{RIGHT}\n```\nBye."}))
    assert (trace.status, trace.answer, trace.answer_json, trace.notes) == ("complete", RIGHT, {"a": 1}, ())
    assert len(trace.steps[-1].calls) == 1


async def test_an_invalid_reply_is_asked_for_again_with_what_is_wrong() -> None:
    model = ScriptedModel({"x": ["So.", WRONG, RIGHT]})
    trace = await run(model)
    assert (trace.status, trace.answer_json) == ("complete", {"a": 1})
    first, second, third = [call for call in model.calls if call.agent == "x"]
    assert second.messages[:2] == third.messages[:2] == first.messages
    assert [(message.role, message.content[:9]) for message in third.messages[2:]] == [
        ("assistant", '{"a": "x"'),
        ("user", "Your last"),
    ]
    assert third.messages[-1].content.endswith("What is wrong: at /a: 'x' is not of type 'integer'")
    assert trace.notes == ("aggregate: x was asked again: its reply was not valid JSON by the schema",)


async def test_with_no_valid_reply_the_run_tells_so_and_keeps_the_text() -> None:
    model = ScriptedModel({"x": ["So.", "So.", WRONG]})
    trace = await run(model)
    assert len([call for call in model.calls if call.agent == "x"]) == 3
    assert (trace.status, trace.answer, trace.answer_json, trace.is_valid) == ("degraded", WRONG, None, False)
    assert trace.degradations == (f"aggregate: {INVALID}",)


async def test_a_fallback_is_asked_after_the_agent_returned_nothing_valid() -> None:
    trace = await run(ScriptedModel({"x": WRONG, "y": RIGHT}), PROPOSE, FALLBACK)
    assert (trace.status, trace.answer_json) == ("degraded", {"a": 1})
    assert [call.agent for call in trace.steps[-1].calls] == ["x", "x", "x", "y"]
    assert "asked y in place of x: x returned no JSON that the answer schema accepts" in trace.degradations[-1]


@pytest.mark.parametrize("reply", [ServerFailed("down"), "Still words."])
async def test_a_reply_that_is_paid_for_is_not_lost_if_the_fallback_fails_too(reply: Any) -> None:
    trace = await run(ScriptedModel({"x": WRONG, "y": reply}), PROPOSE, FALLBACK)
    assert trace.answer == (WRONG if isinstance(reply, ServerFailed) else reply)
    assert (trace.status, trace.answer_json) == ("degraded", None)


async def test_a_further_call_that_fails_leaves_the_reply_before_it() -> None:
    trace = await run(ScriptedModel({"x": [WRONG, ServerFailed("down")]}))
    assert (trace.status, trace.answer) == ("degraded", WRONG)
    assert len(trace.steps[-1].calls) == 2


async def test_no_vote_is_cast_on_answers_that_are_not_valid() -> None:
    model = ScriptedModel({"a": WRONG, "b": "So.", "c": RIGHT})
    trace = await run(model, PROPOSE, '{ step = "vote", agent = "z" }')
    assert (trace.status, trace.answer, trace.answer_json) == ("degraded", RIGHT, {"a": 1})
    assert len(trace.steps[0].calls) == 3 + 2 * 2
    assert trace.degradations[0].startswith("propose: 2 of 3 answers are left out, since they are not valid JSON (a: ")
    assert not [call for call in model.calls if call.agent == "z"]


async def test_only_the_last_of_several_windows_is_asked_for_json() -> None:
    long = "A long answer. " * 120
    model = ScriptedModel({"x": [long, long, RIGHT]}, long)
    six = '{ step = "propose", agents = ["a", "b", "c", "a", "b", "c"] }'
    trace = await run(model, six, '{ step = "aggregate", agent = "x", max_tokens = 300 }', windows={"x": 2400})
    windows = [call.window for call in trace.steps[-1].calls]
    assert len(windows) > 1
    assert asked_for_json(model) == ["x"]
    assert IN_JSON in model.calls[-1].messages[0].content
    assert trace.answer_json == {"a": 1}


async def test_a_reply_that_does_not_fit_beside_its_prompt_is_not_shown_again() -> None:
    long = f'{{"a": "{"x" * 3000}"}}'
    model = ScriptedModel({"a": [long, RIGHT]})
    trace = await run(model, '{ step = "propose", agents = ["a"], max_tokens = 100 }', windows={"a": 1000})
    assert trace.answer_json == {"a": 1}
    assert [message.role for message in model.calls[1].messages] == ["system", "user", "user"]


async def test_a_reply_that_was_cut_off_is_told_so() -> None:
    def reply(call: Call) -> Completion:
        cut = not any(message.role == "assistant" for message in call.messages)
        return Completion('{"a": 1' if cut else RIGHT, "p/m", "length" if cut else "stop")

    model = ScriptedModel({"x": reply})
    trace = await run(model)
    assert "the reply was cut off at the token limit" in model.calls[-1].messages[-1].content
    assert (trace.answer, trace.answer_json) == (RIGHT, {"a": 1})


async def test_an_answer_that_is_rescued_at_the_deadline_is_not_passed_off_as_json() -> None:
    trace = await run(ScriptedModel(), deadline_s=0.0)
    assert trace.status == "failed"  # no call was made
    pipeline = config_of(PROPOSE, AGGREGATE).pipelines["p"]
    events: list[Event] = []
    spec = RunSpec("r", pipeline, Question("Why?", answer_schema="{'"), 1)
    finished = await execute(spec, ScriptedModel(), events.append)
    assert (finished.error or "").startswith("the answer schema is not JSON")


async def test_a_page_shows_json_as_code() -> None:
    trace = await run(ScriptedModel({"x": '{"a":1}'}))
    shown = dict(json.loads(json.dumps(data_of(trace)["markdown"])))
    assert shown['{"a":1}'] == [["pre", '{\n  "a": 1\n}']]
    assert "answer_json" not in str(data_of(trace)["run"])


async def test_answers_with_which_a_step_may_end_the_run_are_asked_for_in_json() -> None:
    agree = '{ step = "agree", extract = { json = "a" }, makers = 1 }'
    steps = ('{ step = "propose", agents = ["a", "b"] }', agree, '{ step = "propose", agents = ["c"] }')
    model = ScriptedModel(otherwise=RIGHT)
    trace = await run(model, *steps)
    assert sorted(asked_for_json(model)) == ["a", "b"]
    assert (trace.status, trace.answer_json) == ("complete", {"a": 1})
