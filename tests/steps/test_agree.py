"""Runs that end early because the answers agree, and those that go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_mcp.errors import CallSkipped, ServerFailed
from moa_mcp.planning.estimate import Priced, estimate
from moa_mcp.planning.plan import plan
from moa_mcp.steps import prompts
from moa_mcp.testing import Reply, ScriptedModel, pipeline, run_pipeline
from moa_mcp.trace.json import facts, full
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Completion, Question
from tests.cli.test_cli import invoke
from tests.support.tables import XY, asked, faults, pipe, steps

pytestmark = pytest.mark.anyio

MAKERS = {"gpt-5": "OpenAI", "claude-x": "Anthropic", "gpt-6": "OpenAI", "unheard": None, "gemini-x": "Google"}
TWO = '{ step = "propose", agents = ["gpt-5", "claude-x"] }'
JUDGED = '{ step = "agree", agent = "z" }'
DECIMAL = 'is only used with extract = "last_number"; remove it, or set that extract'
PATTERN = "a regular expression: missing ), unterminated subpattern at position 0"
ONE_MAKER = "their models are of OpenAI alone, and makers = 2 must agree"
REST = ('{ step = "propose", agents = ["x", "y"], keep = "all" }', '{ step = "aggregate", agent = "w" }')


def saying(judge: Reply | list[Reply]) -> ScriptedModel:
    return ScriptedModel({"gpt-5": "It is 42.", "claude-x": "42", "z": judge, "w": "merged"})


def notes(trace: Trace, step: int = 2) -> list[str]:
    return [note.text for note in trace.steps[step - 1].notes]


def compared(more: str = "") -> str:
    return f'{{ step = "agree", extract = "last_number"{more} }}'


async def test_equivalent_answers_end_the_run_with_the_first_of_them() -> None:
    model = saying('{"equivalent": true}')
    trace = await run_pipeline(steps(TWO, JUDGED, *REST), "Why?", model)
    assert (trace.status, trace.answer, len(model.calls)) == ("complete", "It is 42.", 3)
    assert notes(trace) == [
        "agreed: z finds that all 2 answers are equivalent (models of OpenAI and Anthropic)",
        "the run ended early: 2 steps not needed, 3 calls saved",
    ]
    assert (trace.saved, trace.not_needed) == (3, ("propose", "aggregate"))
    assert facts(trace)["not_needed"] == ["propose", "aggregate"]
    told = full(trace)["steps"]
    assert isinstance(told, list)
    assert (told[1]["final"], told[1]["verdict"]) == (True, "equivalent")


async def test_answers_that_differ_stay_for_the_panel() -> None:
    model = saying("No.")
    trace = await run_pipeline(steps(TWO, JUDGED, *REST), "Why?", model)
    assert (trace.status, trace.answer, trace.saved, trace.not_needed) == ("complete", "merged", 0, ())
    assert notes(trace) == ["went on: z finds that the 2 answers are not equivalent"]
    assert asked(model, 4) == [("w", ("It is 42.", "42", "x at 3.1", "y at 3.2"))]


@pytest.mark.parametrize(
    ("judge", "status", "note"),
    [
        (["Perhaps.", "Hm."], "degraded", "went on: z gave no valid verdict in 2 attempts"),
        (["Perhaps.", "true"], "complete", "agreed: z finds that all 2 answers are equivalent"),
        (ServerFailed("down"), "degraded", "went on: the answers were not compared: "),
    ],
)
async def test_a_judge_without_a_verdict_lets_the_run_go_on(judge: Reply | list[Reply], status: str, note: str) -> None:
    trace = await run_pipeline(steps(TWO, JUDGED, *REST), "Why?", saying(judge))
    assert trace.status == status
    assert any(each.startswith(note) for each in notes(trace))


async def test_no_budget_for_the_judge_does_not_end_the_run() -> None:
    model = saying(CallSkipped("the budget is used up"))
    trace = await run_pipeline(steps(TWO, JUDGED, *REST), "Why?", model)
    assert (trace.status, trace.answer) == ("degraded", "merged")
    assert notes(trace)[-1].startswith("went on: the answers were not compared: ")


async def test_a_judge_that_fails_has_a_fallback() -> None:
    model = ScriptedModel({"z": ServerFailed("down"), "v": '{"equivalent": true}'})
    judged = '{ step = "agree", agent = "z", fallback_agent = "v" }'
    trace = await run_pipeline(steps(TWO, judged, *REST), "Why?", model)
    assert (trace.status, trace.steps[1].final) == ("degraded", True)


@pytest.mark.parametrize(
    ("agents", "who"),
    [
        (["gpt-5", "gpt-6"], "of OpenAI alone"),
        (["gpt-5", "unheard"], "of OpenAI and an unknown maker"),
        (["unheard", "unknown"], "of unknown makers"),
    ],
)
async def test_the_judge_is_not_called_for_models_of_one_maker(agents: list[str], who: str) -> None:
    model = saying('{"equivalent": true}')
    propose = f'{{ step = "propose", agents = {agents} }}'
    trace = await run_pipeline(steps(propose, JUDGED, *REST), "Why?", model)
    assert notes(trace) == [f"went on: their models are {who}, and makers = 2 must agree, so the judge was not called"]
    assert (trace.status, model.calls_of("z")) == ("complete", [])


async def test_one_answer_does_not_agree_with_copies_of_itself() -> None:
    first, kept = '{ step = "propose", agents = ["gpt-5"] }', '{ step = "propose", agents = ["claude-x"], keep = 2 }'
    model = ScriptedModel({"gpt-5": "7", "claude-x": "8"})
    compare = compared(", makers = 1, share = 0.6")
    trace = await run_pipeline(steps(first, kept, compare, *REST), "Why?", model)
    assert notes(trace, 3) == ["went on: 2 of 3 answers say '7', but that is one answer and copies of it"]


@pytest.mark.parametrize(
    ("replies", "more", "note"),
    [
        (("7", "so 7.0"), "", "agreed: 2 of 2 answers say '7' (models of OpenAI and Anthropic)"),
        (("7", "8"), "", "went on: 1 of 2 answers say '7', others '8'"),
        (("7", "none"), "", "went on: 1 of 2 answers say '7'"),
        (("none", "no"), "", 'went on: no answer has a value to compare (extract = "last_number")'),
        (("7", "8", "7"), ", share = 0.6", f"went on: 2 of 3 answers say '7', but {ONE_MAKER}"),
        (("7", "8", "7"), ", share = 0.6, makers = 1", "agreed: 2 of 3 answers say '7'"),
        (("7", "7", "8"), ", share = 0.6", "agreed: 2 of 3 answers say '7' (models of OpenAI and Anthropic)"),
        (("1.250", "1.25"), ', decimal = "comma"', "went on: 1 of 2 answers say '1250', others '1.25'"),
    ],
)  # fmt: skip
async def test_values_are_compared_without_a_model(replies: tuple[str, ...], more: str, note: str) -> None:
    agents = ["gpt-5", "claude-x", "gpt-6"][: len(replies)]
    model = ScriptedModel(dict(zip(agents, replies, strict=True)))
    propose = f'{{ step = "propose", agents = {agents} }}'
    trace = await run_pipeline(steps(propose, compared(more), *REST), "Why?", model)
    assert notes(trace)[0] == note
    assert trace.steps[1].final == note.startswith("agreed")
    assert trace.steps[1].calls == []


async def test_a_whole_answer_is_preferred_to_one_that_is_cut_off() -> None:
    model = ScriptedModel(
        {"gpt-5": Completion("It is", "gpt-5", "length"), "claude-x": "It is 42.", "z": '{"equivalent": true}'}
    )
    trace = await run_pipeline(steps(TWO, JUDGED, *REST), "Why?", model)
    assert (trace.status, trace.answer) == ("complete", "It is 42.")


@settings(max_examples=40)
@given(
    said=st.lists(st.tuples(st.sampled_from(sorted(MAKERS)), st.sampled_from("78?")), min_size=2, max_size=5),
    share=st.sampled_from([0.5, 0.6, 1.0]),
    makers=st.integers(1, 3),
)
async def test_a_run_ends_early_only_if_enough_answers_of_enough_makers_agree(
    said: list[tuple[str, str]], share: float, makers: int
) -> None:
    agents = [name for name, _ in said]
    model = ScriptedModel(otherwise=lambda call: said[call.place.number - 1][1] if call.place.step == 1 else "end")
    propose = f'{{ step = "propose", agents = {agents} }}'
    more = f", share = {share}, makers = {makers}"
    trace = await run_pipeline(steps(propose, compared(more), *REST), "Why?", model)
    (step,) = trace.steps[1:2]
    groups = {value: [name for name, each in said if each == value] for value in "78"}
    value, group = max(groups.items(), key=lambda each: len(each[1]))
    enough = len(group) >= max(2, share * len(said)) and len({MAKERS[name] for name in group} - {None}) >= makers
    enough = enough or (makers == 1 and len(group) >= max(2, share * len(said)))
    assert step.final == (enough and len(groups["7"]) != len(groups["8"]))
    assert trace.answer == (value if step.final else "end")
    assert len(model.calls) == (len(said) if step.final else len(said) + 3)


@pytest.mark.parametrize(
    ("agents", "keys", "who"),
    [
        (["openai/gpt-5", "openai/gpt-6"], "", "of OpenAI alone"),
        (["openai/gpt-5", "openai/unheard"], "", "of OpenAI and an unknown maker"),
        (["openai/gpt-5", "openai/claude-x"], ", makers = 3", ""),  # the step has a warning of its own
        (["openai/gpt-5", "openai/claude-x"], "", ""),
        (["openai/gpt-5", "openai/gpt-6"], ", makers = 1", ""),
    ],
)
def test_check_warns_of_models_that_can_never_agree(agents: list[str], keys: str, who: str, tmp_path: Path) -> None:
    config = tmp_path / "pipelines.toml"
    propose, merge = f'{{ step = "propose", agents = {agents} }}', '{ step = "aggregate", agent = "openai/gpt-5" }'
    config.write_text(pipe(propose, compared(keys), merge), "utf-8")
    checked = invoke("--offline", "--config", str(config), "check", "p", "--json").stdout
    never = f"never ends the run: the models before it are {who}, and makers = 2 must agree; use models of other makers"
    assert (never in checked) is bool(who)
    assert ("never ends the run" in checked) is bool(who)


def test_an_estimate_expects_the_run_to_go_on_and_has_its_end_as_minimum() -> None:
    chosen = pipeline(steps(TWO, JUDGED, *REST))
    priced = {alias: Priced(alias, None, "") for alias in ("gpt-5", "claude-x", "z", "x", "y", "w")}
    found = estimate(chosen, Question("Why?"), priced)
    assert [each.calls for each in found.steps] == [2, 1, 2, 1]
    assert [each.prompt.min == 0 for each in found.steps] == [False, True, True, True]
    assert [each.prompt.expected > 0 for each in found.steps] == [True] * 4
    assert plan(chosen).lint[1:] == ()


@pytest.mark.parametrize(
    ("tables", "lint"),
    [
        (
            ('{ step = "propose", agents = ["a"] }', '{ step = "agree", extract = "text" }'),
            [
                "pipelines.test, step 2: has 1 answer, which never agree: that takes another one to compare",
                "pipelines.test, step 2: agree does nothing as the last step; it saves the steps after it",
            ],
        ),
        (
            (TWO, '{ step = "agree", extract = "text", makers = 3 }', *REST),
            ["pipelines.test, step 2: has 2 answers, which never agree: that takes makers = 3"],
        ),
    ],
)
def test_a_step_that_never_ends_a_run_is_a_mistake(tables: tuple[str, ...], lint: list[str]) -> None:
    assert [str(each) for each in plan(pipeline(steps(*tables))).lint[1:]] == lint


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("", "agent: is missing; name the model that judges, or set extract to compare values"),
        (
            'agent = "openai/z", extract = "text"',
            "agent: 'openai/z' would not be called: extract compares values; remove one of them",
        ),
        (
            'fallback_agent = "openai/z", extract = "text"',
            "fallback_agent: 'openai/z' would not be called: extract compares values; remove fallback_agent",
        ),
        (
            'agent = "openai/z", share = 0.5',
            "share: is only used with extract: the agent judges all answers; remove it, or set extract",
        ),
        ('extract = "text", share = 0.0', "share: 0.0 should be more than 0"),
        ('extract = { regex = "(" }', f"extract: '(' is not {PATTERN}"),
        ('agent = "openai/z", decimal = "comma"', f"decimal: {DECIMAL}"),
    ],
)  # fmt: skip
def test_a_faulty_agree(keys: str, fault: str) -> None:
    aggregate = '{ step = "aggregate", agent = "openai/z" }'
    comma = ", " if keys else ""
    assert faults(pipe(XY, f'{{ step = "agree"{comma}{keys} }}', aggregate))[0] == f"pipelines.p, step 2, {fault}"


def test_the_prompt_does_not_contain_the_verdict_that_it_asks_for() -> None:
    (system, _) = prompts.agree(Question("Why?"), (), None)
    form = prompts.asked_form(system.content)
    assert form is not None
    assert form.field == "equivalent"
