"""Confidences that answers state, and the weights that they give to votes."""

from __future__ import annotations

import unicodedata
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.config import parse
from moa_mcp.extraction.confidence import Stated, stated
from moa_mcp.planning.plan import plan
from moa_mcp.steps.tally import confidence_weights, majority
from moa_mcp.testing import ScriptedModel, pipeline, run_pipeline
from moa_mcp.trace.json import summary
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Question
from tests.support.tables import XY, faults, pipe, steps

pytestmark = pytest.mark.anyio

SURE = '{ step = "propose", agents = ["openai/x", "openai/y"], confidence = true }'
TINY = ", confidence_temperature = 1e-320"
UNSTATED = "the answers before it state none; set confidence = true in the propose step that gives them"
CONFIDENT = '{ step = "vote", method = "majority", extract = "last_number", confidence = true%s }'


async def voted(*replies: str, more: str = "") -> Trace:
    agents = [f"m{number}" for number, _ in enumerate(replies, 1)]
    propose = f'{{ step = "propose", agents = {agents}, confidence = true }}'
    model = ScriptedModel(dict(zip(agents, replies, strict=True)))
    trace = await run_pipeline(steps(propose, CONFIDENT % more), "Why?", model)
    assert all("Confidence: N" in call.messages[0].content for call in model.calls)
    return trace


def notes(trace: Trace) -> list[str]:
    return [note.text for note in trace.steps[1].notes]


async def test_a_confident_minority_outweighs_an_unsure_majority() -> None:
    replies = ("It is 7.\nConfidence: 10", "7\nConfidence: 10", "It must be 8.\n\nConfidence: 95")
    trace = await voted(*replies, more=", confidence_temperature = 0.5")
    low, high = exp(0.1 / 0.5), exp(0.95 / 0.5)
    share = high / (2 * low + high)
    assert (trace.status, trace.answer) == ("complete", "It must be 8.")
    assert notes(trace) == [
        f"1 of 3 answers say '8', with {100 * share:.0f} % of the weight by confidence",
        "the confidences are those that the models state; they are not calibrated",
    ]
    told = summary(trace)["agreement"]
    assert isinstance(told, dict)
    assert (told["value"], told["count"], told["confidence"], told["verdict"]) == ("8", 1, 95, "majority")


async def test_the_line_is_in_no_answer_and_a_missing_one_counts_like_the_mean() -> None:
    trace = await voted("7\nConfidence: 80", "8", "8\nConfidence: 60 %")
    assert [answer.text for answer in trace.steps[0].answers] == ["7", "8", "8"]
    assert [answer.confidence for answer in trace.steps[0].answers] == [80, None, 60]
    assert "answer 2 states no confidence; it has the mean of the others" in notes(trace)
    assert (trace.answer, trace.status) == ("8", "complete")


async def test_without_any_confidence_the_votes_are_equal_and_the_result_says_so() -> None:
    trace = await voted("7", "8", "8")
    assert (trace.answer, trace.status) == ("8", "degraded")
    assert notes(trace)[1:] == ["no answer states a confidence, so all have the same weight"]


async def test_a_confidence_beside_json_by_a_schema_is_read() -> None:
    model = ScriptedModel({"a": '{"v": 7}\nConfidence: 20', "b": '```json\n{"v": 8}\n```\n**Confidence:** 90%'})
    propose = '{ step = "propose", agents = ["a", "b"], confidence = true }'
    question = Question("Why?", answer_schema='{"type": "object"}')
    trace = await run_pipeline(steps(propose, CONFIDENT % ""), question, model)
    assert [(each.text, each.confidence) for each in trace.steps[0].answers] == [('{"v": 7}', 20), ('{"v": 8}', 90)]
    assert (trace.status, trace.answer) == ("complete", '{"v": 8}')


async def test_the_number_of_an_unreadable_confidence_is_not_the_answer() -> None:
    trace = await voted("7\nConfidence: -5", "It is 8.\nConfidence: 101", "8\nConfidence: 80-90")
    assert (trace.answer, trace.status) == ("It is 8.", "degraded")


async def test_a_report_says_where_the_weight_decided_and_not_the_count() -> None:
    replies = ("7\nConfidence: 10", "7\nConfidence: 10", "8\nConfidence: 95")
    trace = await voted(*replies, more=", confidence_temperature = 0.1, report = true")
    assert trace.answer is not None
    head = (
        "8: 8 1, 7 2 of 3 votes; 8 has 100 % of the weight by confidence; stated confidence 95 of 100, not calibrated"
    )
    assert trace.answer.split("\n")[0] == head


async def test_an_abstention_has_no_weight_however_confident_it_is() -> None:
    trace = await voted("7\nConfidence: 1", "8\nConfidence: 2", "None.\nConfidence: 100", more=TINY)
    assert (trace.answer, trace.status) == ("8", "complete")
    assert "1 of 3 answers say '8', with 100 % of the weight by confidence" in notes(trace)


def test_the_weights_are_those_of_the_paper() -> None:
    # c = 0.9, 0.5 and their mean, 0.7; T = 0.4: exp(2.25), exp(1.25), exp(1.75) by their sum 18.7327
    assert confidence_weights([90, 50, None], 0.4, "abc") == pytest.approx((0.506480, 0.186324, 0.307196), abs=1e-6)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 100)), min_size=1, max_size=6), st.floats(0.05, 50))
def test_weights_sum_to_one_and_grow_with_the_confidence(votes: list[tuple[str, int]], temperature: float) -> None:
    confidences = [confidence for _, confidence in votes]
    weights = confidence_weights(confidences, temperature, [value for value, _ in votes])
    assert sum(weights) == pytest.approx(1)
    assert [*weights] == sorted(weights, key=lambda each: confidences[weights.index(each)]) or len(set(confidences)) > 1
    outcome = majority([value for value, _ in votes], weights)
    assert outcome is not None
    assert sum(each.weight or 0 for each in outcome.tally.values) == pytest.approx(1)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=7))
def test_equal_confidences_decide_as_no_confidences(values: list[str | None]) -> None:
    plain, weighted = majority(values), majority(values, confidence_weights([70] * len(values), 0.3, values))
    assert (plain is None) == (weighted is None)
    if plain is not None and weighted is not None:
        assert (plain.value, plain.tied, plain.has_majority) == (weighted.value, weighted.tied, weighted.has_majority)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Yes.\nConfidence: 85", Stated("Yes.", 85)),
        ("Yes.\n\n**Confidence:** 85%\n", Stated("Yes.", 85)),
        ("Yes.\nMy confidence level is: 0.85", Stated("Yes.\nMy confidence level is: 0.85", None)),
        ("Yes.\nConfidence: 0.85", Stated("Yes.", 85)),
        ("Yes.\nConfidence: 85/100", Stated("Yes.", 85)),
        ("Yes.\nConfidence: 85 out of 100.\nSource: me", Stated("Yes.\nSource: me", 85)),
        ("Yes.\nconfidence\uff1a\uff18\uff15", Stated("Yes.", 85)),
        ("Yes.\nConfidence (0-100): 85", Stated("Yes.", 85)),
        ("Yes.\nFinal confidence rating [0 to 100]: 85", Stated("Yes.", 85)),
        ("Yes.\nConfidence - 85", Stated("Yes.", 85)),
        ("Yes.\nConfidence: -5", Stated("Yes.", None)),
        ("Yes.\nConfidence: \u22120.5", Stated("Yes.", None)),
        ("Yes.\nConfidence: 1e309", Stated("Yes.", None)),
        ("Yes.\nConfidence: NaN", Stated("Yes.", None)),
        ("Yes.\nConfidence: 80-90%", Stated("Yes.", None)),
        ("Yes.\nConfidence: 9/10", Stated("Yes.", 90)),
        ("Yes.\n**Confidence**: very high.", Stated("Yes.", None)),
        ("Yes.\nConfidence: the key to success", Stated("Yes.\nConfidence: the key to success", None)),
        ("Yes.\nConfidence:\nHigh", Stated("Yes.\nHigh", None)),
        ('{\n"answer": 3,\n"confidence": -5\n}', Stated('{\n"answer": 3,\n"confidence": -5\n}', None)),
        ('{\n"answer": "yes",\n"confidence": 85\n}', Stated('{\n"answer": "yes",\n"confidence": 85\n}', 85)),
        ('Yes.\n"Confidence: 85"', Stated("Yes.", 85)),
        ("Yes.\nConfidence: 101", Stated("Yes.", None)),
        ("Yes.\nConfidence: high", Stated("Yes.", None)),
        ("Confidence: 85", Stated("Confidence: 85", None)),
        ("Confidence: 85\na\nb\nc", Stated("Confidence: 85\na\nb\nc", None)),
        ("", Stated("", None)),
    ],
)
def test_the_last_line_states_a_confidence(text: str, found: Stated) -> None:
    assert stated(text) == found


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    found = stated(text)
    assert found.confidence is None or 0 <= found.confidence <= 100
    assert (
        found.confidence is not None
        or found.text == text
        or "confidence" in unicodedata.normalize("NFKC", text).casefold()
    )


def test_a_vote_by_confidence_needs_a_step_that_asks_for_it() -> None:
    assert faults(pipe(XY, CONFIDENT % "")) == [f"pipelines.p, step 2, confidence: {UNSTATED}"]
    restated = (SURE, '{ step = "synthesize", agents = ["openai/x", "openai/y"] }', CONFIDENT % "")
    assert faults(pipe(*restated)) == [f"pipelines.p, step 3, confidence: {UNSTATED}"]
    assert faults(pipe(SURE, XY, CONFIDENT % "")) == [f"pipelines.p, step 3, confidence: {UNSTATED}"]
    kept = '{ step = "propose", agents = ["openai/z"], keep = "all" }'
    parse(pipe(SURE, '{ step = "shuffle" }', kept, CONFIDENT % ""))
    assert faults(pipe(XY, '{ step = "vote", method = "majority", confidence_temperature = 0.5 }')) == [
        "pipelines.p, step 2, confidence_temperature: is only used with confidence = true; remove it, or set confidence"
    ]
    assert faults(pipe(XY, '{ step = "vote", agent = "openai/x", confidence = true }')) == [
        'pipelines.p, step 2, confidence: is only used with method = "majority"; remove it, or set that method'
    ]
    asks = pipeline(steps('{ step = "propose", agents = ["a"], confidence = true }'))
    assert [each.message for each in plan(asks).lint[1:]] == [
        "confidence is asked for, but no later vote has confidence = true"
    ]
