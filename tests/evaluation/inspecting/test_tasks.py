"""Tasks of Inspect as the questions of an evaluation: outcomes, baselines, costs and failures."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moa_mcp.errors import JournalError
from moa_mcp.evaluation.execution.execution import EvaluationStopped
from moa_mcp.evaluation.inspecting.source import TaskRefused
from tests.support.inspecting import Bench
from tests.support.model_server import Reply, Status
from tests.support.tasks import SUMS, TaskBench


@pytest.fixture
def tasks(bench: Bench) -> TaskBench:
    return TaskBench(bench)


def test_the_scores_of_a_task_are_those_of_its_scorer(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("small", Reply("3"))
    bench.models.script("large", Reply("It is 4"))

    found = tasks.evaluated(f"{tasks.write(SUMS)}@sums", "mix")

    first = found.outcomes["0", "mix"]
    assert (first.status, first.score, first.extracted, first.calls) == ("complete", 1.0, "4", 4)
    assert (first.answer, first.problem, first.unknown_costs) == ("It is 4", "", 0)
    assert first.cost_usd is not None
    assert first.cost_usd > 0
    assert first.run_id is not None
    assert found.execution.progress.counts == {"complete": 2}
    assert found.execution.asker.ledger.cost_usd == sum(each.cost_usd or 0 for each in found.of("mix"))


def test_baselines_of_a_plain_task_are_the_samples_of_its_pipelines(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("small", Reply("4"), Reply("4"), Reply("5"))
    bench.models.script("large", Reply("4"))
    solver = SUMS.replace("solver=generate()", 'solver=[system_message("Be brief."), generate()]')

    found = tasks.evaluated(f"{tasks.write(solver)}@sums", "mix", arguments={"count": 1})

    assert found.note == ""
    assert bench.asked == {"small": 3, "large": 1}
    assert found.outcomes["0", "one:small"].score == pytest.approx(2 / 3)
    assert found.outcomes["0", "majority:mix:3"].score == 1.0
    assert found.outcomes["0", "best_of:mix:3"].score == 1.0
    assert sorted(each.score or 0 for each in found.outcomes["0", "mix"].samples) == [0.0, 1.0, 1.0]
    assert found.outcomes["0", "mix"].agreement == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("solver=generate()", "solver=[chain_of_thought(), multiple_choice()]"), "its solver is chain_of_thought,"),
        (("scorer=match(numeric=True)", "scorer=own()"), "its scorer own may look at more than the text"),
    ],
)
def test_baselines_of_other_tasks_have_runs_of_their_own(
    bench: Bench, tasks: TaskBench, change: tuple[str, str], why: str
) -> None:
    own = """
@scorer(metrics=[accuracy()])
def own():
    async def score(state, target):
        return Score(value=state.output.completion == "4", answer=state.output.completion, explanation="as it is")
    return score
"""
    text = own + SUMS.replace(*change).replace("target", 'choices=["1", "2"], target')
    bench.models.script("*", Reply("4"))

    found = tasks.evaluated(f"{tasks.write(text)}@sums", "mix", arguments={"count": 1})

    assert why in found.note
    assert found.contestants == {"mix", "one:small"}
    assert bench.asked == {"small": 4, "large": 1}


def test_a_named_baseline_answers_with_one_call(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("*", Reply("4"))
    found = tasks.evaluated(f"{tasks.write(SUMS)}@sums", "mix", baselines=["large"], arguments={"count": 1})

    assert found.contestants == {"mix", "one:large", "majority:mix:3", "best_of:mix:3"}
    assert found.outcomes["0", "one:large"].calls == 1
    assert bench.asked == {"small": 3, "large": 2}


def test_without_values_samples_do_not_vote(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("*", Reply("4"))
    text = SUMS.replace("match(numeric=True)", "includes()")
    found = tasks.evaluated(f"{tasks.write(text)}@sums", "mix", arguments={"count": 1})
    assert found.contestants == {"mix", "one:small"}


def test_what_was_answered_is_not_asked_again(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("*", Reply("4"))
    source = f"{tasks.write(SUMS)}@sums"
    first = tasks.evaluated(source, "mix")
    bench.models.clear()

    again = tasks.evaluated(source, "mix", "pair")

    assert bench.asked == {"small": 2, "large": 2}
    assert [each.run_id for each in again.of("mix")] == [each.run_id for each in first.of("mix")]


def test_epochs_are_repetitions_and_their_mean_is_the_score(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("large", Reply("4"), Reply("5"), Reply("4"), Reply("4"))
    text = SUMS.replace("solver=", "epochs=4, solver=")

    found = tasks.evaluated(f"{tasks.write(text)}@sums", "mix", arguments={"count": 1})

    outcome = found.outcomes["0", "mix"]
    assert (outcome.score, outcome.calls) == (0.75, 4)
    assert outcome.why.startswith("the mean of 4 of 4 epochs: ")
    assert bench.asked == {"small": 12, "large": 4}
    assert found.execution.asker.ledger.cost_usd == 4 * (outcome.cost_usd or 0)
    assert found.execution.progress.done == 1


def test_an_epoch_that_failed_has_no_part_in_the_mean(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("large", Reply("4"), Status(400, "no"))
    text = SUMS.replace("solver=", "epochs=2, solver=")

    found = tasks.evaluated(f"{tasks.write(text)}@sums", "mix", arguments={"count": 1})

    outcome = found.outcomes["0", "mix"]
    assert (outcome.status, outcome.score) == ("degraded", 1.0)


def test_a_failed_run_is_a_failed_outcome_with_its_cost(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("large", Status(400, "no"))

    found = tasks.evaluated(f"{tasks.write(SUMS)}@sums", "mix", arguments={"count": 1})

    outcome = found.outcomes["0", "mix"]
    assert (outcome.status, outcome.score, outcome.answer, outcome.calls) == ("failed", None, None, 4)
    assert outcome.problem.startswith("mix failed: ")
    assert outcome.cost_usd is not None
    assert outcome.cost_usd > 0
    assert found.outcomes["0", "one:small"].status == "failed"


def test_runs_that_the_budget_did_not_allow_are_not_started(bench: Bench, tasks: TaskBench) -> None:
    bench.configure(settings="[defaults]\nmax_tokens = 100")  # at most about $0.1 for a call
    bench.models.script("*", Reply("4 " * 20))  # $0.02
    source = f"{tasks.write(SUMS)}@sums"

    found = tasks.evaluated(source, "pair", budget=Decimal("0.235"), arguments={"count": 3})

    statuses = sorted(each.status for each in found.of("pair"))
    assert statuses == ["complete", "complete", "not_started"]
    again = tasks.evaluated(source, "pair", budget=Decimal(5), arguments={"count": 3})
    assert {each.status for each in again.of("pair")} == {"complete"}
    assert bench.asked == {"small": 3, "large": 3}


_SCORED: list[tuple[str, float | None, str]] = [
    ('Score(value="P")', 0.5, ""),
    ('Score(value="yes")', 1.0, ""),
    ("Score(value=0.25)", 0.25, ""),
    ('Score(value="0.75")', 0.75, ""),
    ("Score(value=7)", None, "the scorer own gave 7; only scores from 0 to 1 can be compared"),
    ('Score(value="good")', None, "the scorer own gave 'good', which is not one number from 0 to 1"),
    ('Score(value="nan")', None, "the scorer own gave 'nan', which is not one number from 0 to 1"),
    ('Score(value={"a": 1, "b": 0})', None, "which is not one number from 0 to 1"),
    ('Score.unscored(reason="invalid_format")', None, "the scorer own left it unscored: invalid_format"),
    ("None", None, "the task has no scorer, or it returned no score"),
]


def test_scores_that_are_no_number_from_0_to_1_are_none(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("*", Reply("4"))
    given = ", ".join(each for each, _, _ in _SCORED)
    scorer = f"""
@scorer(metrics=[])
def own():
    async def score(state, target):
        return ({given})[state.sample_id]
    return score
"""
    text = scorer + SUMS.replace("match(numeric=True)", "own()")
    found = tasks.evaluated(f"{tasks.write(text)}@sums", "pair", arguments={"count": len(_SCORED)})

    for number, (_, value, problem) in enumerate(_SCORED):
        outcome = found.outcomes[str(number), "pair"]
        assert (outcome.status, outcome.score) == ("complete", value)
        assert problem in outcome.problem
        assert bool(problem) == bool(outcome.problem)


def test_the_runs_of_a_grader_are_those_of_a_judge(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("large", Reply("C"))
    grader = """
@scorer(metrics=[accuracy()])
def graded():
    async def score(state, target):
        verdict = await get_model("moa/one:large").generate(f"Is {state.output.completion} right?")
        return Score(value=verdict.completion)
    return score
"""
    text = grader + SUMS.replace("match(numeric=True)", "graded()")
    found = tasks.evaluated(f"{tasks.write(text)}@sums", "mix", arguments={"count": 1})

    outcome = found.outcomes["0", "mix"]
    assert (outcome.score, outcome.calls, len(outcome.judge_runs)) == (1.0, 4, 1)
    assert outcome.judge_cost_usd > 0
    assert outcome.run_id not in outcome.judge_runs


def test_a_sample_of_the_questions_is_the_same_for_a_seed(bench: Bench, tasks: TaskBench) -> None:
    source = f"{tasks.write(SUMS)}@sums"
    chosen = [tasks.evaluated(source, "pair", arguments={"count": 9}, size=3, seed=seed) for seed in (1, 1, 2)]
    one, same, other = ([question for question, name in each.outcomes if name == "pair"] for each in chosen)
    assert (len(one), one) == (3, same)
    assert one != other


def test_a_solver_that_raises_is_told_as_the_problem_of_each_sample(bench: Bench, tasks: TaskBench) -> None:
    broken = """
@solver
def broken():
    async def solve(state, generate):
        raise ValueError("no such column")
    return solve
"""
    text = broken + SUMS.replace("generate()", "broken()")
    found = tasks.evaluated(f"{tasks.write(text)}@sums", "pair", arguments={"count": 1})
    assert found.outcomes["0", "pair"].problem == "ValueError('no such column')"
    assert not bench.models.requests


@pytest.mark.parametrize(
    ("text", "name", "arguments", "message"),
    [
        (SUMS, "sum", {}, "task.py defines no task 'sum'; did you mean sums? Its tasks: sums."),
        (SUMS, "", {}, "has no name after the @ Write FILE.py@TASK."),
        ("", "sums", {}, "task.py defines no task A task is a function with the decorator @task of inspect_ai."),
        (SUMS, "sums", {"cout": 1}, "has no parameter 'cout'; did you mean count? Its parameters: count."),
        (SUMS.replace("count=2", "count, *, by"), "sums", {"by": 1}, "needs count Add -T count=VALUE. Its parameters:"),
        (
            SUMS.replace("range(count)", "[]"),
            "sums",
            {},
            "line 11: ValueError: The specified dataset is empty (has no samples) Correct",
        ),
        (SUMS.replace(", scorer=match(numeric=True)", ""), "sums", {}, "has no scorer Give it one: Task(..., scorer="),
        (SUMS.replace("id=number", "id=7"), "sums", {}, "has two samples with the ID '7' IDs must differ."),
        (SUMS + "\nimport nowhere\n", "sums", {}, "task.py, line 13: ModuleNotFoundError: No module named 'nowhere'"),
        (SUMS.replace("range(count)", "rang(count)"), "sums", {}, "task.py, line 10: NameError: name 'rang' is not"),
        (SUMS + "\nif :\n", "sums", {}, "task.py, line 13: invalid syntax Correct the file."),
    ],
)
def test_a_task_that_can_t_be_used_is_told_with_its_line_and_remedy(
    tasks: TaskBench, text: str, name: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(TaskRefused) as refused:
        tasks.evaluated(f"{tasks.write(text)}@{name}", "mix", arguments=arguments)
    assert message in f"{refused.value} {refused.value.remedy}"


def test_a_file_that_is_missing_or_has_several_tasks_is_told(tasks: TaskBench) -> None:
    with pytest.raises(TaskRefused, match=r"there is no file nowhere\.py"):
        tasks.evaluated("nowhere.py@sums", "mix")
    two = SUMS + SUMS.replace("def sums", "def others").replace("@task", '@task(name="more")')
    with pytest.raises(TaskRefused, match="defines 2 tasks") as refused:
        tasks.evaluated(tasks.write(two), "mix")
    assert "task.py@sums: sums, more." in refused.value.remedy


def test_a_grader_that_fails_leaves_the_answer_without_a_score(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("small", Reply("4"))
    bench.models.script("large", Reply("4"), Status(400, "no"))
    grader = """
@scorer(metrics=[accuracy()])
def graded():
    async def score(state, target):
        return Score(value=(await get_model("moa/one:large").generate("Is it right?")).completion)
    return score
"""
    text = grader + SUMS.replace("match(numeric=True)", "graded()")
    found = tasks.evaluated(f"{tasks.write(text)}@sums", "mix", arguments={"count": 1})

    outcome = found.outcomes["0", "mix"]
    assert (outcome.status, outcome.answer, outcome.score, outcome.calls) == ("complete", "4", None, 4)
    assert outcome.problem.startswith("one:large failed: ")
    assert len(outcome.judge_runs) == 1


def test_a_task_that_fails_as_a_whole_is_reported(bench: Bench, tasks: TaskBench) -> None:
    text = SUMS.replace("solver=", 'sandbox="nowhere", solver=')
    with pytest.raises(BaseExceptionGroup) as group:
        tasks.evaluated(f"{tasks.write(text)}@sums", "pair")
    (stopped,) = group.value.exceptions
    assert isinstance(stopped, EvaluationStopped)
    assert str(stopped).startswith("task.py@sums: ")
    assert not bench.models.requests


def test_messages_of_a_sample_are_its_question_and_system_prompt(bench: Bench, tasks: TaskBench) -> None:
    bench.models.script("*", Reply("4"))
    text = """
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

@task
def sums():
    shots = [ChatMessageUser(content="1 + 1?"), ChatMessageAssistant(content="2")]
    messages = [ChatMessageSystem(content="Be brief."), *shots, ChatMessageUser(content="2 + 2?")]
    sample = Sample(input=messages, target=["4", "four"], metadata={"cluster": 3})
    return Task(dataset=[sample], solver=generate(), scorer=includes())
"""
    found = tasks.evaluated(f"{tasks.write(text)}@sums", "pair")

    (question,) = found.execution.plan.questions
    assert (question.id, question.text, question.item.system) == ("1", "2 + 2?", "Be brief.")
    assert (question.answer, question.cluster) == ("4, four", "3")
    assert found.outcomes["1", "pair"].score == 1.0
    assert found.execution.found.notes == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe", "task.py"), (b"x = 1\0", "task.py"), (None, "can't read")],
)
def test_a_file_that_is_no_python_is_reported(tasks: TaskBench, content: bytes | None, message: str) -> None:
    path = tasks.bench.folder / "task.py"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(TaskRefused, match=message):
        tasks.evaluated(f"{path}@sums", "mix")


def test_a_journal_that_fails_stops_the_evaluation(bench: Bench, tasks: TaskBench) -> None:
    (bench.folder / "runs.sqlite").write_text("not a journal, but long enough to have a header\n" * 40, "utf-8")
    with pytest.raises((JournalError, BaseExceptionGroup)):
        tasks.evaluated(f"{tasks.write(SUMS)}@sums", "pair")
    assert not bench.models.requests
