"""Evaluations with a judge: its runs are recorded, budgeted and paid once, and its replies are verdicts."""

from __future__ import annotations

from decimal import Decimal

from tests.support.eval_desk import TRIO, EvalDesk, judging, outcomes_of
from tests.support.model_server import Reply, Status

OPEN = [{"id": f"o{number}", "question": f"Why is {number} a number?"} for number in range(3)]


def answers(desk: EvalDesk) -> None:
    desk.models.script("first", Reply("It is short."))
    desk.models.script("last", Reply("It is long, and it says why."))


def prefers_length(shown: str) -> int:
    first, second = shown.split("end of answer 1")
    return 1 if "long" in first else 2 if "long" in second else 0


def test_open_questions_are_compared_in_both_orders(eval_desk: EvalDesk) -> None:
    answers(eval_desk)
    eval_desk.models.script("judge", Reply(judging("better", prefers_length)))
    result = eval_desk.done(eval_desk.ask(OPEN), "--judge", "judge")
    assert result.complete
    assert [(each.contestant, each.against, each.first, each.preferred) for each in result.verdicts[:2]] == [
        ("trio", "one:first", "contestant", 1.0),
        ("trio", "one:first", "against", 1.0),
    ]
    assert len(result.verdicts) == 6
    assert result.duels[0].win_rate == 1.0
    assert result.settings.judge == "judge"
    assert result.settings.judge_models == ("openai/judge",)
    judged = [each for each in eval_desk.requests if each.model == "judge"]
    assert len(judged) == 6
    assert {each.body["temperature"] for each in judged} == {0.0}
    assert {each.score for each in result.outcomes} == {None}
    eval_desk.models.clear()
    assert len(eval_desk.done(eval_desk.ask(OPEN), "--judge", "judge").verdicts) == 6
    assert eval_desk.asked.total() == 0


def test_a_judge_scores_answers_and_one_sample_of_each_baseline(eval_desk: EvalDesk) -> None:
    answers(eval_desk)
    eval_desk.models.script("judge", Reply(judging("grade", lambda shown: "correct" if "long" in shown else "partly")))
    rubric = eval_desk.write("Long answers are right.", "rubric.txt")
    result = eval_desk.done(eval_desk.ask(OPEN), "--judge", "judge", "--score", "judge", "--rubric", rubric)
    assert [each.name for each in result.contestants] == ["trio", "one:first"]
    assert {each.score for each in outcomes_of(result, "trio").values()} == {1.0}
    assert {each.score for each in outcomes_of(result, "one:first").values()} == {0.5}
    own = outcomes_of(result, "trio")["o0"]
    assert (len(own.judge_runs), own.judge_cost_usd > 0) == (1, True)
    assert result.cost_usd == sum(
        (each.cost_usd or 0) + each.judge_cost_usd for each in result.outcomes if each.run_id
    ) + sum(each.judge_cost_usd for each in outcomes_of(result, "one:first").values())
    assert "Long answers are right." in str([each.body for each in eval_desk.requests if each.model == "judge"])
    assert len([each for each in eval_desk.requests if each.model == "judge"]) == 6


def test_a_judge_that_fails_makes_an_evaluation_incomplete(eval_desk: EvalDesk) -> None:
    answers(eval_desk)
    eval_desk.models.script("judge", Status(401, "no"))
    done = eval_desk.start(eval_desk.ask(OPEN[:1]), "--judge", "judge")
    assert done.exit_code == 1
    assert not eval_desk.result.complete
    assert "the judge did not reply" in eval_desk.result.verdicts[0].problem


def test_the_budget_covers_the_judge_and_what_it_lacks_is_told(eval_desk: EvalDesk) -> None:
    eval_desk.models.script("first", Reply("It is short.", usage={"completion_tokens": 80}))  # $0.08, $0.1 at most
    eval_desk.models.script("last", Reply("It is long.", usage={"completion_tokens": 80}))
    verdict = Reply(judging("better", prefers_length), usage={"completion_tokens": 50})
    eval_desk.models.script("judge", verdict)
    file = eval_desk.ask(OPEN[:1])
    done = eval_desk.start(file, "--judge", "judge", "--budget", "0.46")  # $0.32, one verdict of at most $0.1
    assert done.exit_code == 1
    result = eval_desk.result
    assert [bool(each.problem) for each in result.verdicts] == [False, True]
    assert "not started: its run may cost up to $0.1000" in result.verdicts[1].problem
    assert result.cost_usd == Decimal("0.37")
    assert "its budget did not allow 1 run" in done.stderr
    eval_desk.models.clear()
    enough = done.stderr.rsplit("--budget ", 1)[1].split(",")[0]
    assert eval_desk.done(file, "--judge", "judge", "--budget", enough).cost_usd == Decimal("0.42")
    assert eval_desk.asked.total() == 1


def test_an_estimate_has_the_runs_of_the_judge_that_are_left(eval_desk: EvalDesk) -> None:
    file = eval_desk.ask(OPEN)
    shown = eval_desk.start(file, "--judge", "judge", "--estimate").stdout
    (row,) = (each.split() for each in shown.splitlines() if each.startswith("judge ") and "openai" not in each)
    assert row[1:4] == ["0", "6", "6"]
    assert eval_desk.asked.total() == 0
    answers(eval_desk)
    eval_desk.models.script("judge", Reply(judging("better", prefers_length)))
    eval_desk.done(file, "--judge", "judge")
    again = eval_desk.start(file, "--judge", "judge", "--estimate").stdout
    assert [each.split()[1:4] for each in again.splitlines() if each.startswith("judge ")] == [["6", "0", "0"]]


def test_a_pipeline_can_judge(eval_desk: EvalDesk) -> None:
    answers(eval_desk)
    eval_desk.configure(trio=TRIO, panel='{ step = "propose", agents = ["judge"] }')
    eval_desk.models.script("judge", Reply(judging("better", prefers_length)))
    result = eval_desk.done(eval_desk.ask(OPEN[:1]), "--judge", "panel")
    assert result.settings.judge == "panel"
    assert [each.preferred for each in result.verdicts] == [1.0, 1.0]
