"""What is true of every step in the union. A new step is tested here without a change."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from moa_mcp.budget.worst_case import RunTariff
from moa_mcp.config import STEP_TYPES, models_of
from moa_mcp.planning.estimate import estimate
from moa_mcp.planning.forecast import prompt_tokens
from moa_mcp.planning.plan import plan
from moa_mcp.steps import Aggregate, Member, Propose, Step, prompts
from moa_mcp.steps.forecast import Bound, ExpectedAnswer, Forecast
from moa_mcp.testing import ScriptedModel, run_pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Completion, Question, token_limit
from tests.support.each_step import any_step, pipeline_of, steps_of

WHY = Question("Why?")
SCHEMA = '{"type": "object", "properties": {"\u00e9": {"type": "string"}}, "required": ["\u00e9"]}'
"""A schema that no simulated reply is valid by, so that each is asked for again."""
LAST = Aggregate(agent=Member(model="z"), max_tokens=10)
BOUNDS: tuple[Bound, ...] = ("min", "expected", "max")
KINDS = sorted(STEP_TYPES)
LENGTHS = st.lists(st.integers(0, 99), min_size=1, max_size=4)


def three(tokens: int) -> Propose:
    return Propose.model_validate({"agents": ["a", "b", "c"], "max_tokens": tokens})


def longest(call: Call) -> Completion:
    """Reply with as many characters as the call's limit stands for; with a verdict if the prompt asks for one."""
    system = call.messages[0].content
    form = prompts.asked_form(system)
    limit = 4 * (token_limit(call.parameters) or 0)
    if form is None:
        return Completion("x" * limit, call.agent, "length")
    if form.field == "consensus":
        missing = "x" * max(1, limit - len(json.dumps({"key": form.key, "blind_spots": [""]})))
        return Completion(json.dumps({"key": form.key, "blind_spots": [missing]}), call.agent)
    ranking = list(range(len(prompts.unfenced(system)), 0, -1))
    value = {"ranking": ranking, "answer": 1, "equivalent": True}[form.field]
    return Completion(json.dumps({"key": form.key, form.field: value}), call.agent)


def run(*steps: Step, question: Question = WHY, seed: int = 0, model: ScriptedModel | None = None) -> Trace:
    """Run in an event loop of its own, so that hypothesis can reject what it drew."""
    asked = model or ScriptedModel(otherwise=longest)

    async def running() -> Trace:
        return await run_pipeline(pipeline_of(*steps), question, asked, seed=seed)

    return anyio.run(running)


def forecasts(step: Step, tokens: list[int]) -> list[Forecast]:
    answers = tuple(ExpectedAnswer(each, agent) for each, agent in zip(tokens, "abcd", strict=False))
    return [step.forecast(answers, bound) for bound in BOUNDS]


def is_sure(step: Step) -> bool:
    """Whether neither its calls and answers nor what is shown beside these depends on chance or on replies."""
    counts = {
        (
            len(each.calls),
            sum(call.times for call in each.calls),
            tuple((answer.ranked, answer.analysis > 0) for answer in each.answers),
        )
        for each in forecasts(step, [1] * 3)
    }
    return len(counts) == 1 and not getattr(step, "report", False)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), tokens=LENGTHS)
def test_a_forecast_returns_as_many_answers_as_the_step(kind: str, data: st.DataObject, tokens: list[int]) -> None:
    step = data.draw(steps_of(kind))
    found = [len(forecast.answers) for forecast in forecasts(step, tokens)]
    assert found[-1] == step.answers_out(len(tokens))
    assert found == sorted(found)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), tokens=LENGTHS)
def test_a_forecast_calls_only_models_that_the_table_names(kind: str, data: st.DataObject, tokens: list[int]) -> None:
    step = data.draw(steps_of(kind))
    called = {call.model for forecast in forecasts(step, tokens) for call in forecast.calls}
    named = {model for _, model in step.named_models()}
    assert called <= {*step.models} <= named
    assert {*models_of(pipeline_of(step))} == named


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_key_that_names_a_model_is_where_the_table_has_it(kind: str, data: st.DataObject) -> None:
    step = data.draw(steps_of(kind))
    for where, model in step.named_models():
        value: Any = step.model_dump()
        for part in where:
            value = value[part]
        assert model in (value, value["model"] if isinstance(value, dict) else None)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), tokens=st.integers(1, 60))
def test_plan_run_and_estimate_agree_on_calls_and_on_the_longest_prompts(
    kind: str, data: st.DataObject, tokens: int
) -> None:
    step = data.draw(steps_of(kind))
    steps = (three(tokens), step, LAST)
    trace = run(*steps)
    assume(trace.answer is not None)  # else nothing could be counted
    planned, found = plan(pipeline_of(*steps)), estimate(pipeline_of(*steps), WHY, {})
    made = [len(each.calls) for each in trace.steps]
    sent = [sum(prompt_tokens(call.messages) for call in each.calls) for each in trace.steps]
    assert [each.calls for each in planned.steps] == [each.calls for each in found.steps]
    if is_sure(step):
        assert made == [each.calls for each in found.steps]
        assert sent == [each.prompt.max for each in found.steps]
        assert [len(each.answers) for each in trace.steps] == [each.answers for each in planned.steps]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_step_says_whether_its_calls_write_the_answers_that_it_returns(kind: str, data: st.DataObject) -> None:
    step = data.draw(steps_of(kind))
    trace = run(three(40), step, LAST)
    assume(trace.answer is not None)
    written = [answer for answer in trace.steps[1].answers if answer.place.step == 2]
    assert step.writes_answers == bool(written)
    if step.adds_answers:
        assert len(written) == len(trace.steps[1].calls)


@given(
    first=st.integers(1, 60),
    middle=st.lists(any_step(), max_size=4),
    context=st.none() | st.text(min_size=1, max_size=40),
    schema=st.sampled_from([None, SCHEMA]),
    seed=st.integers(0, 99),
)
def test_no_run_exceeds_its_estimate(
    first: int, middle: list[Step], context: str | None, schema: str | None, seed: int
) -> None:
    question = Question("Why?", context, answer_schema=schema)
    trace = run(three(first), *middle, LAST, question=question, seed=seed)
    found = estimate(pipeline_of(three(first), *middle, LAST), question, {})
    finished = [step for step in trace.steps if step.seconds is not None]
    for step, estimated in zip(finished, found.steps, strict=False):
        sent = sum(prompt_tokens(call.messages) for call in step.calls)
        assert estimated.prompt.min <= sent <= estimated.prompt.max
        assert len(step.calls) <= estimated.calls


@given(middle=st.lists(any_step(), max_size=3), schema=st.sampled_from([None, SCHEMA]), seed=st.integers(0, 99))
def test_what_a_budget_reserves_covers_every_call_at_its_worst(
    middle: list[Step], schema: str | None, seed: int
) -> None:
    model = ScriptedModel(otherwise=longest)
    question = Question("Why?", answer_schema=schema)
    run(three(40), *middle, LAST, question=question, seed=seed, model=model)
    tariff = RunTariff(pipeline_of(three(40), *middle, LAST), question, {})
    assert sum(tariff.worst_case(call).tokens for call in model.calls) <= tariff.whole(0).tokens
