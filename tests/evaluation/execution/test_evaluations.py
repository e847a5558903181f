"""`moa-mcp eval` over HTTP model servers: what is asked, paid, scored and reported, and what a second start pays."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from moa_mcp.evaluation.result import Evaluation, Outcome
from tests.cli.test_cli_runs import listed
from tests.support.eval_desk import ONE, TRIO, EvalDesk, outcomes_of, solver, solving, sums
from tests.support.model_server import Reply, Status

SINGLE, MAJORITY, BEST = "one:first", "majority:trio:3", "best_of:trio:3"


def test_pipeline_and_baselines_from_its_samples_answer_the_same_questions(eval_desk: EvalDesk) -> None:
    solving(eval_desk.models, first=0.6)
    result = eval_desk.done(eval_desk.ask(sums(20)))
    assert result.complete
    assert [(each.name, each.kind, each.baseline, each.derived_from) for each in result.contestants] == [
        ("trio", "pipeline", False, None),
        (SINGLE, "model", True, "trio"),
        (MAJORITY, "majority", False, "trio"),
        (BEST, "best_of", False, "trio"),
    ]
    assert len(result.outcomes) == 80
    assert {each.score for each in outcomes_of(result, "trio").values()} == {1.0}
    singles = outcomes_of(result, SINGLE)
    share = sum(each.score or 0 for each in singles.values()) / 20
    assert 0.3 < share < 0.9
    assert [each.contestant for each in result.comparisons] == ["trio"]
    assert result.contestants[0].models == ("openai/first", "openai/last")
    assert sum(eval_desk.asked.values()) == sum(int(each.calls) for each in outcomes_of(result, "trio").values())


def test_an_outcome_has_the_figures_of_its_run(eval_desk: EvalDesk) -> None:
    eval_desk.models.script("first", Reply("It is 7.", usage={"completion_tokens": 50}))
    eval_desk.models.script("last", Reply("The answer is 8.", usage={"completion_tokens": 80}))
    result = eval_desk.done(eval_desk.ask([{"question": "What is 3 + 5?", "answer": "8", "cluster": "c"}]))
    (own,) = outcomes_of(result, "trio").values()
    assert own.seconds is not None
    assert own.seconds > 0
    assert own.run_id is not None
    assert own.model_copy(update={"seconds": None, "run_id": None, "why": "", "samples": ()}) == Outcome(
        question="1",
        contestant="trio",
        status="complete",
        answer="The answer is 8.",
        score=1.0,
        extracted="8",
        cost_usd=Decimal("0.23"),
        calls=4,
        agreement=1.0,
    )
    assert [(each.model, each.extracted, each.score, each.cost_usd) for each in own.samples] == [
        ("first", "7", 0.0, Decimal("0.05"))
    ] * 3
    (single,) = outcomes_of(result, SINGLE).values()
    assert (single.score, single.calls, single.cost_usd, single.run_id) == (0.0, 1.0, Decimal("0.05"), None)
    (majority,) = outcomes_of(result, MAJORITY).values()
    assert (majority.extracted, majority.calls, majority.cost_usd) == ("7", 3.0, Decimal("0.15"))
    assert result.cost_usd == Decimal("0.23")
    assert result.questions[0].cluster == "c"
    exported = listed(eval_desk.folder / "runs.sqlite")
    assert [each["run_id"] for each in exported] == [own.run_id]


def test_a_single_call_has_the_whole_prompt_that_samples_shared(eval_desk: EvalDesk) -> None:
    eval_desk.configure(price=", usd_per_million = { prompt = 1000, completion = 2000 }, n = 3")
    eval_desk.models.script("first", Reply("It is 8.", usage={"prompt_tokens": 100, "completion_tokens": 30}))
    result = eval_desk.done(eval_desk.ask([{"question": "What is 3 + 5?", "answer": 8}]))
    assert [each.model for each in eval_desk.requests] == ["first", "last"]
    (own,) = outcomes_of(result, "trio").values()
    assert [each.cost_usd for each in own.samples] == [Decimal("0.0533333333333")] * 3  # of 0.16
    costs = {each.contestant: each.cost_usd for each in result.outcomes}
    assert costs[SINGLE] == Decimal("0.12")
    assert costs[MAJORITY] == Decimal("0.16")
    assert not any("lower bound" in note for note in result.notes)


def test_a_second_start_and_another_order_of_the_file_ask_nothing(eval_desk: EvalDesk) -> None:
    questions = sums(6)
    first = eval_desk.done(eval_desk.ask(questions))
    eval_desk.models.clear()
    moved = [{**each, "id": f"other {each['id']}"} for each in reversed(questions)]
    eval_desk.done(eval_desk.ask(moved, "other.jsonl"))
    second = eval_desk.done(eval_desk.ask(questions))
    assert eval_desk.asked.total() == 0
    assert second.model_copy(update={"created_at": first.created_at}) == first


def test_two_evaluations_share_the_runs_of_the_same_pipeline_and_question(eval_desk: EvalDesk) -> None:
    eval_desk.configure(trio=TRIO, solo=ONE)
    first = eval_desk.done(eval_desk.ask(sums(4)))
    eval_desk.models.clear()
    second = eval_desk.done(eval_desk.ask(sums(6), "more.jsonl"), pipelines="solo,trio")
    assert {question for _, question in eval_desk.asked} == {each["question"] for each in sums(6)}
    assert {model for model, question in eval_desk.asked if question == "What is 1 + 3?"} == {"first"}  # of solo
    assert first.digest != second.digest
    ids = {each.run_id for each in outcomes_of(first, "trio").values()}
    assert ids < {each.run_id for each in outcomes_of(second, "trio").values()}


@pytest.mark.parametrize(
    ("args", "steps"),
    [
        (["--name", "again"], TRIO),
        (["--system", "Be brief."], TRIO),
        ([], TRIO.replace("samples = 3", "samples = 4")),
        ([], TRIO.replace('agent = "last"', 'agent = "judge"')),
        ([], TRIO.replace('agent = "last"', 'agent = "last", max_tokens = 99')),
    ],
)
def test_a_changed_pipeline_model_setting_context_or_name_is_another_evaluation(
    eval_desk: EvalDesk, args: list[str], steps: str
) -> None:
    file = eval_desk.ask(sums(2))
    first = eval_desk.done(file)
    eval_desk.models.clear()
    eval_desk.configure(trio=steps)
    second = eval_desk.done(file, *args)
    assert second.digest != first.digest
    assert {each.run_id for each in first.outcomes if each.run_id}.isdisjoint(
        {each.run_id for each in second.outcomes if each.run_id}
    )
    assert len({question for _, question in eval_desk.asked}) == 2


def test_another_right_answer_is_another_evaluation_of_the_same_runs(eval_desk: EvalDesk) -> None:
    first = eval_desk.done(eval_desk.ask([{"question": "What is 1 + 1?", "answer": 2}]))
    eval_desk.models.clear()
    second = eval_desk.done(eval_desk.ask([{"question": "What is 1 + 1?", "answer": 3}]))
    assert eval_desk.asked.total() == 0
    assert first.digest != second.digest
    assert [each.outcomes[0].score for each in (first, second)] == [1.0, 0.0]


def test_a_named_baseline_is_taken_from_samples_that_are_asked_alike_and_else_asked(eval_desk: EvalDesk) -> None:
    result = eval_desk.done(eval_desk.ask(sums(2)), "--baseline", "first", "--baseline", "last")
    own = {each.name: each.derived_from for each in result.contestants if each.baseline}
    assert own == {"one:first": "trio", "one:last": None}
    bare = [each for each in eval_desk.requests if each.model == "last" and len(each.body["messages"]) == 1]
    assert len(bare) == 2
    eval_desk.configure(trio=TRIO.replace("samples = 3 }]", "samples = 3 }], temperature = 0.1"))
    eval_desk.models.clear()
    other = eval_desk.done(eval_desk.ask(sums(2)), "--baseline", "first")
    assert [each.derived_from for each in other.contestants if each.baseline] == [None]
    assert sum(each.body["temperature"] == 0.7 for each in eval_desk.requests if each.model == "first") == 2


def test_a_model_that_no_pipeline_has_is_a_baseline_by_its_route(eval_desk: EvalDesk) -> None:
    # the address of the configured routes is that of the server; a route alone has the usual one
    done = eval_desk.start(eval_desk.ask(sums(1)), "--baseline", "openai/other", "--estimate")
    assert done.exit_code == 0, done.output
    assert "one:openai/other" in done.stdout


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (TRIO.replace("samples = 3 }]", 'samples = 3 }], prompt = "Think."'), "prompt of its first step"),
        (TRIO.replace("samples = 3 }]", "samples = 3 }], confidence = true"), "confidence of its first step"),
        (TRIO.replace("samples = 3", 'system = "You are Ada."'), "all members of its first step have a system prompt"),
    ],
)
def test_samples_that_are_no_single_calls_are_no_baseline(eval_desk: EvalDesk, steps: str, why: str) -> None:
    eval_desk.configure(trio=steps)
    done = eval_desk.start(eval_desk.ask(sums(1)))
    assert done.exit_code == 2
    assert f"trio: {why}" in done.stderr
    assert "Name one with --baseline" in done.stderr
    assert eval_desk.asked.total() == 0


def test_of_an_early_stop_only_the_samples_that_are_always_asked_count(eval_desk: EvalDesk) -> None:
    stop = 'samples = 5 }], stop = { ahead_by = 2, extract = "last_number" }'
    eval_desk.configure(trio=TRIO.replace("samples = 3 }]", stop))
    result = eval_desk.done(eval_desk.ask(sums(1)))
    assert "best_of:trio:2" in {each.name for each in result.contestants}
    assert {each.contestant: len(each.samples) for each in result.outcomes if each.samples} == {"trio": 2}
    assert {each.samples for each in result.contestants if each.derived_from} == {(1, 2)}


def test_members_with_a_system_prompt_are_left_out_of_the_samples(eval_desk: EvalDesk) -> None:
    agents = '["first", { model = "last", system = "You are Ada." }, "first"]'
    eval_desk.configure(trio=f'{{ step = "propose", agents = {agents} }}, {{ step = "aggregate", agent = "last" }}')
    result = eval_desk.done(eval_desk.ask(sums(1)))
    assert [each.name for each in result.contestants] == ["trio", "one:first", "best_of:trio:2"]


def test_samples_that_failed_are_told_and_the_others_count(eval_desk: EvalDesk) -> None:
    eval_desk.models.script("first", Reply(solver()), Status(401, "no"), Reply(solver()))
    result = eval_desk.done(eval_desk.ask(sums(1)), "--concurrency", "1")
    assert [len(each.samples) for each in outcomes_of(result, "trio").values()] == [2]
    assert "one:first: 1 of its samples failed or came too late; its scores are those of the others." in result.notes
    assert outcomes_of(result, "trio")["q0"].status == "degraded"


def test_failed_runs_are_told_and_asked_again_only_with_retry_failed(eval_desk: EvalDesk) -> None:
    eval_desk.models.script("last", Status(401, "no"))
    file = eval_desk.ask(sums(2))
    done = eval_desk.start(file)
    assert done.exit_code == 1
    assert "the evaluation is not complete" in done.stderr
    assert "--retry-failed" in done.stderr
    result = eval_desk.result
    assert not result.complete
    assert {each.status for each in outcomes_of(result, "trio").values()} == {"failed"}
    assert all("last" in each.problem for each in outcomes_of(result, "trio").values())
    assert {each.score for each in outcomes_of(result, SINGLE).values()} == {1.0}  # its samples came
    eval_desk.models.clear()
    solving(eval_desk.models)
    assert eval_desk.start(file).exit_code == 1
    assert eval_desk.asked.total() == 0
    assert eval_desk.done(file, "--retry-failed").complete
    assert {model for model, _ in eval_desk.asked} == {"last"}  # the samples were paid


def test_the_gate_is_missed_unless_each_gain_is_high_enough_for_sure(eval_desk: EvalDesk) -> None:
    solving(eval_desk.models, first=0.5)
    file = eval_desk.ask(sums(20))
    assert eval_desk.done(file, "--fail-under", "0").gate_passed
    missed = eval_desk.start(file, "--fail-under", "60")
    assert missed.exit_code == 4
    assert "the gate is missed: not every gain is at least 60 points for sure (trio against one:first:" in missed.stderr
    eval_desk.models.script("last", Status(401, "no"))
    more = eval_desk.start(eval_desk.ask(sums(21)), "--fail-under", "60")
    assert more.exit_code == 1  # incomplete comes before the gate


def test_a_result_is_stored_and_written_to_all_files(eval_desk: EvalDesk) -> None:
    html, png = eval_desk.folder / "r.html", eval_desk.folder / "r.png"
    done = eval_desk.start(eval_desk.ask(sums(3)), "--html", str(html), "--png", str(png))
    assert done.exit_code == 0, done.output
    assert "trio" in html.read_text("utf-8")
    assert png.read_bytes().startswith(b"\x89PNG")
    (stored,) = (eval_desk.folder / "moa-mcp" / "evaluations").iterdir()
    assert json.loads(stored.read_text("utf-8")) == json.loads(eval_desk.result_file.read_text("utf-8"))
    assert f"Stored in {stored}" in done.stderr
    assert "trio" in done.stdout


def test_the_result_can_be_printed_as_json_in_place_of_the_tables(eval_desk: EvalDesk) -> None:
    done = eval_desk.start(eval_desk.ask(sums(1)), "--json", "-")
    assert done.exit_code == 0, done.output
    assert Evaluation.model_validate_json(done.stdout).complete
    assert not Path("-").exists()


def test_an_unwritable_file_is_told_after_the_result(eval_desk: EvalDesk) -> None:
    blocked = Path(eval_desk.write("x", "blocked")) / "r.html"
    done = eval_desk.start(eval_desk.ask(sums(1)), "--html", str(blocked))
    assert done.exit_code == 1
    assert f"can't write {blocked}" in done.stderr
    assert "trio" in done.stdout


def test_simulated_models_answer_offline_and_mean_nothing(eval_desk: EvalDesk) -> None:
    questions = [{"question": f"What is {number} * 7?", "answer": number * 7} for number in range(4)]
    done = eval_desk.start(eval_desk.ask(questions), "--offline")
    assert done.exit_code == 0, done.output
    assert "Note: all models are simulated: their scores mean nothing." in done.stderr
    assert eval_desk.result.settings.simulated
    assert eval_desk.asked.total() == 0


def test_a_sample_is_a_part_of_the_questions_and_larger_ones_have_it(eval_desk: EvalDesk) -> None:
    file = eval_desk.ask(sums(12))
    small = eval_desk.done(file, "--sample", "4")
    eval_desk.models.clear()
    large = eval_desk.done(eval_desk.ask([*reversed(sums(12))], "turned.jsonl"), "--sample", "6")
    assert len(small.questions) == 4
    assert {each.id for each in small.questions} < {each.id for each in large.questions}
    assert len({question for _, question in eval_desk.asked}) == 2
    assert "4 of 12 questions were asked, a random sample with seed 0." in small.notes
    other = eval_desk.done(file, "--sample", "4", "--seed", "1")
    assert {each.id for each in other.questions} != {each.id for each in small.questions}


def test_answers_with_the_right_text_among_other_words_are_counted(eval_desk: EvalDesk) -> None:
    eval_desk.models.script("first", Reply("It is Paris."))
    eval_desk.configure(one=ONE)
    file = eval_desk.ask([{"question": "Capital?", "answer": "Paris"}, {"question": "City?", "answer": "Par"}])
    (note,) = eval_desk.done(file, pipelines="one").notes
    assert note.startswith("Of 4 wrong answers, 2 contain the right text among other words.")
    assert eval_desk.done(file, "--score", "{regex = '(Paris|Par)'}", pipelines="one").notes == ()


def test_what_can_not_be_scored_needs_another_function_and_no_new_runs(eval_desk: EvalDesk) -> None:
    function = eval_desk.write("def score(question, answer, expected):\n    raise ValueError(answer)\n", "own.py")
    done = eval_desk.start(eval_desk.ask(sums(1)), "--score", function)
    assert done.exit_code == 1
    assert "the scoring function failed: own.py, line 2: ValueError" in done.stderr
    assert "Correct what scores the answers, and start again" in done.stderr
    assert "--retry-failed" not in done.stderr
