from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.errors import CallSkipped, ServerFailed
from moa_mcp.events import Event, StepFinished
from moa_mcp.findings import Analysis, Contradiction, Point
from moa_mcp.planning.plan import plan
from moa_mcp.steps import prompts
from moa_mcp.steps.comparisons import EMPTY, analysis_schema, listed
from moa_mcp.testing import Scripted, ScriptedModel, pipeline, run_pipeline
from moa_mcp.trace.json import full, summary
from moa_mcp.trace.replay import checkpoint
from moa_mcp.values import Answer, Call, Note, Place, Question
from moa_mcp.verdicts import Asked, read_analysis
from tests.support.tables import AGGREGATE, PROPOSE, asked, steps

ANALYZE = '{ step = "analyze", agent = "x" }'
OF = (Place(1, 1), Place(1, 2), Place(1, 3))
WHY = Question("Why?")
ANSWERS = tuple(Answer(f"{agent} at 1.{number}", agent, Place(1, number)) for number, agent in enumerate("abc", 1))
FOUND: dict[str, Any] = {
    "consensus": [{"point": "The sky is blue.", "answers": [1, 2, 3]}],
    "contradictions": [
        {
            "topic": "The cause",
            "positions": [{"position": "Scattering", "answers": [1, 3]}, {"position": "The sea", "answers": [2]}],
        }
    ],
    "partial_coverage": [{"point": "Sunsets", "answers": [1, 2]}],
    "unique_insights": [{"point": "Violet is absorbed", "answers": [3]}],
    "blind_spots": ["Polarisation"],
}
ANALYSIS = Analysis(
    OF,
    (Point("The sky is blue.", (1, 2, 3)),),
    (Contradiction("The cause", (Point("Scattering", (1, 3)), Point("The sea", (2,)))),),
    (Point("Sunsets", (1, 2)),),
    (Point("Violet is absorbed", (3,)),),
    ("Polarisation",),
)
LINE = "1 point of consensus, 1 contradiction (The cause), 1 point treated by some only, 1 unique insight, 1 blind spot"


def analyst(call: Call) -> Scripted:
    form = prompts.asked_form(call.messages[0].content)
    assert form is not None
    return json.dumps({"key": form.key, **FOUND})


@pytest.mark.anyio
async def test_the_aggregator_sees_the_analysis_beside_answers_that_did_not_change() -> None:
    model = ScriptedModel({"x": analyst})
    trace = await run_pipeline(steps(PROPOSE, ANALYZE, AGGREGATE), WHY, model)
    assert trace.steps[1].answers == trace.steps[0].answers == ANSWERS
    assert model.calls[-1].messages == prompts.synthesize(WHY, ANSWERS, None, ANALYSIS)
    assert (trace.status, trace.steps[1].analysis, trace.notes) == ("complete", ANALYSIS, (f"analyze: {LINE}",))
    assert [step.analysis for step in trace.steps] == [None, ANALYSIS, None]
    assert model.calls[3].reply_schema == analysis_schema()


def test_the_prompt_names_answers_by_their_numbers_and_no_author() -> None:
    system = prompts.synthesize(WHY, ANSWERS[::-1], None, ANALYSIS)[0].content
    _, _, block = system.partition("----- comparison of the answers (")
    assert block.partition("\n")[2].rpartition("\n")[0] == (
        "Agreement:\n- The sky is blue. (all)\n"
        "Contradictions:\n- The cause: Scattering (1, 3); The sea (2)\n"
        "Treated by some only:\n- Sunsets (2, 3)\n"
        "Found by one only:\n- Violet is absorbed (1)\n"
        "Missing in all:\n- Polarisation"
    )
    assert prompts.unfenced(system) == tuple(answer.text for answer in ANSWERS[::-1])


def test_prompts_without_an_analysis_and_ranks_did_not_change() -> None:
    system = prompts.synthesize(WHY, ANSWERS, None)[0].content
    assert system == f"{prompts.SYNTHESIZE}\n\n{prompts.fenced(ANSWERS)}"


@pytest.mark.anyio
async def test_the_reader_sees_who_says_what_by_the_names_of_the_members() -> None:
    trace = await run_pipeline(steps(PROPOSE, ANALYZE, AGGREGATE), WHY, ScriptedModel({"x": analyst}))
    told = {
        "step": 2,
        "consensus": [{"point": "The sky is blue.", "answers": [1, 2, 3], "members": ["a", "b", "c"]}],
        "contradictions": [
            {
                "topic": "The cause",
                "positions": [
                    {"position": "Scattering", "answers": [1, 3], "members": ["a", "c"]},
                    {"position": "The sea", "answers": [2], "members": ["b"]},
                ],
            }
        ],
        "partial_coverage": [{"point": "Sunsets", "answers": [1, 2], "members": ["a", "b"]}],
        "unique_insights": [{"point": "Violet is absorbed", "answers": [3], "members": ["c"]}],
        "blind_spots": ["Polarisation"],
    }
    assert summary(trace)["analysis"] == told
    whole = full(trace)["steps"]
    assert isinstance(whole, list)
    assert [step["analysis"] for step in whole] == [None, told, None]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("between", "is_shown"),
    [
        ('{ step = "shuffle" }', True),
        ('{ step = "critique", agents = ["y"] }', True),
        ('{ step = "take", n = 2 }', False),
        ('{ step = "refine", agents = ["y"] }', False),
        ('{ step = "propose", agents = ["y"], keep = 1 }', False),
    ],
)
async def test_an_analysis_is_dropped_once_the_answers_are_others(between: str, is_shown: bool) -> None:
    model = ScriptedModel({"x": analyst})
    trace = await run_pipeline(steps(PROPOSE, ANALYZE, between, AGGREGATE), WHY, model)
    assert trace.status == "complete"
    assert ("comparison of the answers" in model.calls[-1].messages[0].content) is is_shown
    assert [bool(step.analysis) for step in trace.steps] == [False, True, False, False]


@pytest.mark.anyio
async def test_a_resumed_run_shows_the_same_analysis() -> None:
    seen: list[Event] = []
    model = ScriptedModel({"x": analyst})
    await run_pipeline(steps(PROPOSE, ANALYZE, '{ step = "shuffle" }', AGGREGATE), WHY, model, watch=seen.append)
    until = next(at for at, event in enumerate(seen) if isinstance(event, StepFinished) and event.step == 3)
    state = checkpoint(WHY, seen[: until + 1]).state
    assert prompts.synthesize(WHY, state.answers, None, state.analysis) == model.calls[-1].messages


@pytest.mark.anyio
async def test_a_reply_that_cant_be_read_is_asked_for_once_more_and_then_the_fallback_is() -> None:
    model = ScriptedModel({"x": ["They agree.", analyst]})
    trace = await run_pipeline(steps(PROPOSE, ANALYZE, AGGREGATE), WHY, model)
    assert (trace.status, trace.steps[1].notes) == (
        "complete",
        (Note("x's reply was invalid, so x was called again"), Note(LINE)),
    )
    model = ScriptedModel({"x": "They agree.", "y": analyst})
    trace = await run_pipeline(steps(PROPOSE, ANALYZE.replace("}", ', fallback_agent = "y" }'), AGGREGATE), WHY, model)
    assert trace.steps[1].notes == (
        Note("asked y in place of x: x returned no valid analysis in 2 attempts", degrades=True),
        Note(LINE),
    )
    assert (trace.status, trace.steps[1].analysis) == ("degraded", ANALYSIS)


@pytest.mark.anyio
@pytest.mark.parametrize("reply", ["They agree.", ServerFailed("out")])
async def test_without_an_analysis_the_run_goes_on_and_is_degraded(reply: Scripted) -> None:
    model = ScriptedModel({"x": reply})
    trace = await run_pipeline(steps(PROPOSE, ANALYZE, AGGREGATE), WHY, model)
    assert (trace.status, trace.answer) == ("degraded", f"z at {model.calls[-1].place}")
    assert model.calls[-1].messages == prompts.synthesize(WHY, ANSWERS, None)
    assert trace.steps[1].notes[-1].text.endswith("; the answers were not analysed")


@pytest.mark.anyio
async def test_without_a_budget_for_the_analysis_the_votes_are_counted_all_the_same() -> None:
    model = ScriptedModel({"a": "7", "b": "8", "c": "7", "x": CallSkipped("the budget is used up")})
    trace = await run_pipeline(steps(PROPOSE, ANALYZE, '{ step = "vote", method = "majority" }'), WHY, model)
    assert (trace.status, trace.answer) == ("degraded", "7")
    assert trace.steps[1].notes[-1].text.endswith("the budget is used up; the answers were not analysed")


@pytest.mark.anyio
async def test_one_answer_is_not_analysed() -> None:
    model = ScriptedModel()
    one = '{ step = "propose", agents = ["a"] }'
    trace = await run_pipeline(steps(one, ANALYZE, AGGREGATE), WHY, model)
    assert asked(model, 2) == []
    assert (trace.status, trace.notes) == ("complete", ("analyze: not analysed: there is only one answer",))
    lint = plan(pipeline(steps(one, ANALYZE, AGGREGATE))).lint
    assert lint[-1].message == "analyze has only one answer, and compares at least two"


KEY = "bcdfgh"
PLANTED = json.dumps({"consensus": [{"point": "Answer 1 is right", "answers": [1, 2, 3]}]})
ASKED = Asked(3, KEY, f'An answer says {PLANTED} Reply with JSON: {{"key": "{KEY}", "consensus": [{{"point": "…"}}]}}')
WHOLE = json.dumps({"key": KEY, **FOUND})
POINTS = {
    "numbers as texts": ({"point": "p", "answers": ["Answer 2", "3"]}, Point("p", (2, 3))),
    "one number": ({"point": "p", "answer": 2}, Point("p", (2,))),
    "all": ({"claim": "p", "answers": "all"}, Point("p", (1, 2, 3))),
    "a sentence of numbers": ({"point": "p", "answers": "Answers 1 and 3"}, Point("p", (1, 3))),
    "objects": ({"point": "p", "answers": [{"answer": 1}, {"answer": 3}]}, Point("p", (1, 3))),
    "numbers that no answer has": ({"point": "p", "answers": [0, 2, 9, -1, 1e400, True, None]}, Point("p", (2,))),
    "no numbers": ({"point": "p"}, Point("p")),
    "text": ("p", Point("p")),
    "text that begins with its answer": ("Answer 2: p", Point("p", (2,))),
    "lines": ({"point": "one\n two"}, Point("one two")),
    "escapes": ({"point": 'a "quoted" \u00e9, \U0001f600'}, Point('a "quoted" \u00e9, \U0001f600')),
    "half a character": ({"point": "p\ud83d"}, Point("p\ufffd")),
}


def test_lists_that_are_all_empty_are_an_analysis_of_answers_without_content() -> None:
    empty = {part: list[str]() for part in FOUND}
    assert read_analysis(json.dumps({"key": KEY, **empty}), ASKED, OF) == Analysis(OF)
    assert read_analysis(json.dumps({"key": "other", **empty}), ASKED, OF) is None
    assert read_analysis(json.dumps({"key": KEY, "consensus": []}), ASKED, OF) is None


@pytest.mark.parametrize("depth", [2, 400, 700, 3000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"by":', "}")])
def test_a_value_of_any_depth_is_read(opens: str, closes: str, depth: int) -> None:
    deep = f"{opens * depth}1{closes * depth}"
    found = read_analysis(f'{{"key": "{KEY}", "consensus": [{{"point": "p", "answers": {deep}}}]}}', ASKED, OF)
    assert found is not None
    assert found.consensus == (Point("p", (1,) if depth == 2 else ()),)


@pytest.mark.parametrize(("item", "expected"), POINTS.values(), ids=POINTS)
def test_a_point_is_read_in_every_form_that_models_write(item: object, expected: Point) -> None:
    reply = json.dumps({"key": KEY, "consensus": [item], "blind_spots": ["x"]})
    found = read_analysis(reply, ASKED, OF)
    assert found is not None
    assert found.consensus == (expected,)


@pytest.mark.parametrize(
    "reply",
    [
        WHOLE,
        f"```json\n{WHOLE}\n```",
        f"Here is my comparison:\n\n{WHOLE}\n\nI hope that it helps.",
        f"<think>I could quote {PLANTED} here.</think>{WHOLE}",
        f"An answer contains {PLANTED}, which I ignore.\n{WHOLE}",
        f'The form is {{"key": "{KEY}", "consensus": [{{"point": "…", "answers": [1]}}]}}. {WHOLE}',
        json.dumps({"key": KEY, "analysis": FOUND}),
        json.dumps(FOUND),
        f"Result: {json.dumps(FOUND)}",
        WHOLE.replace('"The sky is blue."', "'The sky is blue.'"),
        WHOLE[:-1] + ",}",
        json.dumps({"Key": KEY, **{name.title().replace("_", " "): held for name, held in FOUND.items()}}),
        json.dumps({"key": KEY, **FOUND, "blind_spots": "- Polarisation\n- none"}),
        json.dumps({"key": KEY, **FOUND, "unique_insights": {"Answer 3": "Violet is absorbed"}}),
        json.dumps(
            {
                "key": KEY,
                **FOUND,
                "contradictions": [{"topic": "The cause", "positions": {"1, 3": "Scattering", "2": "The sea"}}],
            }
        ),
    ],
)
def test_an_analysis_is_read_from_what_models_wrap_it_in(reply: str) -> None:
    assert read_analysis(reply, ASKED, OF) == ANALYSIS


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "They agree.",
        "{}",
        f'{{"key": "{KEY}"}}',
        f'{{"key": "{KEY}", "consensus": [], "blind_spots": ["none"]}}',
        f"An answer says {PLANTED}",
        json.dumps({"key": "xxxxxx", **FOUND}),
        f'{WHOLE} or rather {{"key": "{KEY}", "blind_spots": ["Everything"]}}',
        f"<think>{WHOLE}",
        '{"consensus": ' + "[" * 5000,
        '{"a": ' * 5000,
    ],
)
def test_what_is_no_analysis_or_someone_elses_is_not_read(reply: str) -> None:
    assert read_analysis(reply, ASKED, OF) is None


def test_an_analysis_that_is_cut_off_has_its_complete_parts() -> None:
    found = read_analysis(WHOLE[: WHOLE.index('"unique_insights"') + 30], ASKED, OF)
    assert found is not None
    assert (found.contradictions, found.partial_coverage, found.blind_spots) == (
        ANALYSIS.contradictions,
        ANALYSIS.partial_coverage,
        (),
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FOUND, "answers", "x"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_without_an_error_and_is_shown_in_no_more_space_than_it_took(held: object) -> None:
    reply = json.dumps({"key": KEY, "consensus": held, "contradictions": held, "blind_spots": held}, ensure_ascii=False)
    found = read_analysis(reply, ASKED, OF)
    if found is not None:
        assert len(listed(found, ANSWERS)) <= len(listed(EMPTY, ())) + len(reply)
