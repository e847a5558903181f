"""Steps that ask in waves, and stop when more calls could not change what they come to any more soon."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.errors import ServerFailed
from moa_mcp.planning.estimate import Priced, estimate
from moa_mcp.planning.plan import plan
from moa_mcp.steps.prompts import unfenced
from moa_mcp.steps.tally import lead
from moa_mcp.testing import Scripted, ScriptedModel, pipeline, run_pipeline
from moa_mcp.trace.json import summary
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Question, Tally, Votes
from tests.support.tables import PROPOSE, XY, faults, pipe, steps

pytestmark = pytest.mark.anyio

MAJORITY = '{ step = "vote", method = "majority", extract = "last_number" }'


DECIMAL = 'is only used with extract = "last_number"; remove it, or set that extract'


def sampled(samples: int, ahead_by: int, more: str = "") -> str:
    agents = f'agents = [{{ model = "a", samples = {samples} }}]'
    stop = f'stop = {{ ahead_by = {ahead_by}, extract = "last_number" }}'
    return f'{{ step = "propose", {agents}, {stop}{more} }}'


def saying(*replies: Scripted) -> ScriptedModel:
    """Return a model that answers the calls of a step so, in their order."""
    return ScriptedModel({"a": lambda call: replies[call.place.number - 1]})


async def asked(model: ScriptedModel, samples: int, ahead_by: int, more: str = "") -> Trace:
    return await run_pipeline(steps(sampled(samples, ahead_by, more), MAJORITY), "Why?", model)


async def test_a_unanimous_first_wave_saves_the_rest_and_says_so() -> None:
    model = saying("It is 42.", "42", "so 42!")
    trace = await asked(model, 6, 3)
    assert (trace.status, len(model.calls), trace.answer) == ("complete", 3, "It is 42.")
    (note,) = trace.steps[0].notes
    assert note.text == "stopped after 3 of 6 calls: '42' leads by 3; 3 calls saved"
    assert trace.steps[0].saved == 3
    layers = summary(trace)["layers"]
    assert isinstance(layers, list)
    assert layers[0]["saved_calls"] == 3


async def test_each_wave_asks_only_as_many_as_the_leader_still_needs() -> None:
    model = saying("1", "2", "1", "1", "1", "1")
    trace = await asked(model, 6, 2)
    assert len(model.calls) == 4
    assert trace.steps[0].notes[-1].text == "stopped after 4 of 6 calls: '1' leads by 2; 2 calls saved"


async def test_one_number_in_several_spellings_leads() -> None:
    trace = await asked(saying("0,5", "\\boxed{\\frac{1}{2}}", "3,5"), 3, 2)
    assert (trace.status, trace.answer, trace.steps[0].saved) == ("complete", "0,5", 1)


async def test_a_wave_whose_answers_hold_nothing_leads_to_the_next() -> None:
    model = saying("no idea", "none", "7", "7")
    trace = await asked(model, 4, 2)
    assert (len(model.calls), trace.answer) == (4, "7")


async def test_a_stop_may_say_that_the_comma_divides() -> None:
    table = '{ step = "propose", agents = [{ model = "a", samples = 3 }], stop = { ahead_by = 2, %s } }'
    stop = table % 'extract = "last_number", decimal = "comma"'
    trace = await run_pipeline(steps(stop, MAJORITY), "Why?", saying("1,250", "1,25", "9"))
    assert trace.steps[0].notes[-1].text == "stopped after 2 of 3 calls: '1.25' leads by 2; 1 call saved"


async def test_a_pattern_that_is_stopped_is_noted_in_its_wave() -> None:
    table = '{ step = "propose", agents = [{ model = "a", samples = 2 }], stop = { ahead_by = 1, %s } }'
    model = saying("a" * 5000 + "b", "aa")
    trace = await run_pipeline(
        steps(table % "extract = { regex = '(a+)+$' }", '{ step = "take", n = 1 }'), "Why?", model
    )
    assert trace.steps[0].notes[0].text == "the regex took longer than 1 s on answers 1; these count as abstentions"
    assert len(model.calls) == 2


async def test_without_a_leader_everybody_is_asked_and_nothing_is_said() -> None:
    model = saying("1", "2", "1", "2")
    trace = await asked(model, 4, 2)
    assert (len(model.calls), trace.steps[0].notes, trace.steps[0].saved) == (4, (), 0)


async def test_a_failed_wave_is_made_good_by_the_next() -> None:
    model = saying(ServerFailed("down"), ServerFailed("down"), "1", "1")
    trace = await asked(model, 4, 2)
    assert (trace.status, trace.answer, len(model.calls)) == ("degraded", "1", 4)


async def test_the_quorum_holds_though_one_leads() -> None:
    model = saying("1", ServerFailed("down"), "1", "1")
    assert (await asked(model, 4, 1, ", quorum = 2")).status == "degraded"
    assert len(model.calls) == 3


async def test_if_all_fail_the_step_fails() -> None:
    down = ServerFailed("down")
    trace = await asked(saying(down, down, down), 3, 2)
    assert (trace.status, trace.answer) == ("failed", None)


@given(st.lists(st.sampled_from("123"), min_size=1, max_size=9), st.integers(1, 4))
async def test_it_stops_with_the_first_wave_after_which_one_leads_by_enough(says: list[str], ahead_by: int) -> None:
    ahead_by = min(ahead_by, len(says))
    model = saying(*says)
    trace = await asked(model, len(says), ahead_by)
    made = len(model.calls)
    assert sorted(call.place.number for call in model.calls) == list(range(1, made + 1))
    assert made == len(says) or lead(says[:made]).by >= ahead_by
    assert all(lead(says[:count]).by < ahead_by for count in range(made))
    assert trace.steps[0].saved == len(says) - made


def test_an_estimate_counts_all_calls_at_most_and_the_fewest_at_least() -> None:
    chosen = pipeline(steps(sampled(6, 2), '{ step = "aggregate", agent = "z" }'))
    priced = {alias: Priced(alias, None, "") for alias in "az"}
    (proposed, _) = estimate(chosen, Question("Why?"), priced).steps
    assert plan(chosen).calls == 7
    assert (proposed.calls, proposed.completion.min) == (6, 2)
    assert proposed.prompt.max == 3 * proposed.prompt.min


# Votes


def preferring(*texts: str) -> ScriptedModel:
    """Return a judge that names these answers, pass by pass, wherever they stand."""

    def judge(call: Call) -> str:
        shown = unfenced("\n".join(message.content for message in call.messages))
        return f'{{"answer": {shown.index(texts[call.place.number - 1]) + 1}}}'

    return ScriptedModel({"z": judge})


def voting(more: str) -> str:
    return steps(PROPOSE, f'{{ step = "vote", agent = "z", {more} }}')


A, B = "a at 1.1", "b at 1.2"


async def test_the_answer_that_most_passes_name_is_chosen() -> None:
    model = preferring(A, B, B)
    trace = await run_pipeline(voting("passes = 3"), "Why?", model)
    assert (trace.status, trace.answer) == ("complete", B)
    assert [note.text for note in trace.steps[1].notes] == ["z chose answer 2 of 3 in 2 of 3 passes"]
    assert trace.steps[1].tally == Tally((Votes("2", 2), Votes("1", 1)))
    orders = [tuple(re.findall(r"\w at 1\.\d", call.messages[0].content)) for call in model.calls_of("z")]
    assert len(Counter(orders)) > 1


async def test_a_tie_between_passes_is_told() -> None:
    trace = await run_pipeline(voting("passes = 2"), "Why?", preferring(B, A))
    assert (trace.status, trace.answer) == ("degraded", B)
    assert trace.degradations == ("vote: tie with 1; chose the answer named first",)


async def test_passes_stop_when_one_answer_leads_by_enough() -> None:
    model = preferring(B, B)
    trace = await run_pipeline(voting("passes = 5, stop = { ahead_by = 2 }"), "Why?", model)
    assert (trace.status, trace.answer, len(model.calls_of("z"))) == ("complete", B, 2)
    assert trace.steps[1].saved == 3
    assert trace.steps[1].notes[-1].text == "stopped after 2 of 5 calls: answer 2 leads by 2; 3 calls saved"


async def test_a_pass_that_can_not_be_read_counts_for_nobody() -> None:
    model = ScriptedModel({"z": ["?", '{"answer": 1}', "?", "?"]})
    trace = await run_pipeline(voting("passes = 2"), "Why?", model)
    assert trace.status == "degraded"
    assert trace.steps[1].notes[-1].text.endswith("in 1 of 2 passes")
    assert trace.steps[1].tally is not None
    assert (trace.steps[1].tally.abstained, trace.steps[1].tally.of) == (1, 2)


async def test_a_pass_that_fails_is_made_good_by_the_next() -> None:
    model = ScriptedModel({"z": [ServerFailed("down"), '{"answer": 1}']})
    trace = await run_pipeline(voting("passes = 3, stop = { ahead_by = 1 }"), "Why?", model)
    assert (trace.status, len(model.calls_of("z")), trace.steps[1].saved) == ("degraded", 2, 1)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (f"{XY[:-1]}, stop = {{ ahead_by = 3 }} }}", "stop: ahead_by = 3 can't be reached with 2 calls"),
        (f"{XY[:-1]}, stop = {{ ahead_by = 0 }} }}", "stop.ahead_by: 0 should be at least 1"),
        (f"{XY[:-1]}, stop = 2 }}", "stop: 2 should be a table, { ahead_by = 2 }"),
        (
            f"{XY[:-1]}, stop = {{ ahead_by = 1, x = 1 }} }}",
            "stop.x: unknown key; valid keys: ahead_by, decimal, extract, posterior",
        ),
        (
            f"{XY[:-1]}, stop = {{ ahead_by = 1, extract = 3 }} }}",
            'stop.extract: 3 should be "text", "last_number", "choice", { json = "field" } or { regex = "pattern" }',
        ),
        (
            f"{XY[:-1]}, stop = {{ ahead_by = 1, extract = {{ regex = '(' }} }} }}",
            "stop.extract: '(' is not a regular expression: missing ), unterminated subpattern at position 0",
        ),
    ],
)
def test_a_faulty_stop_of_propose(step: str, fault: str) -> None:
    aggregate = '{ step = "aggregate", agent = "openai/z" }'
    assert faults(pipe(step, aggregate)) == [f"pipelines.p, step 1, {fault}"]


@pytest.mark.parametrize(
    ("stop", "fault"),
    [
        ('extract = "choice", decimal = "comma"', f"stop.decimal: {DECIMAL}"),
        ('decimal = "point"', f"stop.decimal: {DECIMAL}"),
        ('extract = "last_number", decimal = ","', "stop.decimal: ',' should be 'point' or 'comma'"),
    ],
)
def test_a_decimal_mark_without_numbers(stop: str, fault: str) -> None:
    propose = f"{XY[:-1]}, stop = {{ ahead_by = 1, {stop} }} }}"
    assert faults(pipe(propose, '{ step = "aggregate", agent = "openai/z" }')) == [f"pipelines.p, step 1, {fault}"]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (
            'method = "majority", passes = 2',
            'passes: is only used with method = "judge"; remove it, or set that method',
        ),
        ('agent = "openai/x", stop = { ahead_by = 2 }', "stop: ahead_by = 2 can't be reached with passes = 1"),
        (
            'agent = "openai/x", passes = 3, stop = { ahead_by = 1, extract = "text" }',
            "stop.extract: unknown key; valid keys: ahead_by, posterior",
        ),
    ],
)
def test_a_faulty_stop_of_vote(keys: str, fault: str) -> None:
    assert faults(pipe(XY, f'{{ step = "vote", {keys} }}')) == [f"pipelines.p, step 2, {fault}"]
