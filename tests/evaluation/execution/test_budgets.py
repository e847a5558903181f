"""The budget of an evaluation: runs wait for it and are never shrunk, and what did not start is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moa_mcp.evaluation.result import Evaluation
from tests.support.eval_desk import EvalDesk, outcomes_of, solver, sums
from tests.support.model_server import Reply

WORST, REAL = Decimal("0.4"), Decimal("0.32")
"""What a run of `trio` may cost: four calls of at most $0.1; and what it costs here."""


@pytest.fixture
def dear_desk(eval_desk: EvalDesk) -> EvalDesk:
    for name in ("first", "last"):
        eval_desk.models.script(name, Reply(solver(), usage={"completion_tokens": 80}))
    return eval_desk


def started(result: Evaluation) -> int:
    return sum(each.status == "complete" for each in outcomes_of(result, "trio").values())


def test_runs_wait_for_the_budget_and_each_has_all_its_calls(dear_desk: EvalDesk) -> None:
    file = dear_desk.ask(sums(8))
    done = dear_desk.start(file, "--budget", "1.4", "--concurrency", "4")
    assert done.exit_code == 1
    result = dear_desk.result
    assert result.cost_usd == 4 * REAL  # a fifth would need 1.28 + 0.4
    assert started(result) == 4
    assert {each.calls for each in outcomes_of(result, "trio").values() if each.run_id} == {4.0}
    left = [each for each in outcomes_of(result, "trio").values() if each.status == "not_started"]
    assert len(left) == 4
    assert "its run may cost up to $0.4000, more than the rest of the budget" in left[0].problem
    assert "its budget did not allow 4 runs" in done.stderr
    assert not result.complete


def test_the_budget_that_is_named_finishes_it_and_earlier_starts_count(dear_desk: EvalDesk) -> None:
    file = dear_desk.ask(sums(8))
    done = dear_desk.start(file, "--budget", "1.4")
    dear_desk.models.clear()
    assert dear_desk.start(file, "--budget", "1.5").exit_code == 1
    assert dear_desk.asked.total() == 0
    enough = done.stderr.rsplit("--budget ", 1)[1].split(",")[0]
    result = dear_desk.done(file, "--budget", enough)
    assert result.cost_usd == 8 * REAL
    assert len(dear_desk.requests) == 4 * 4


def test_the_estimate_tells_what_a_run_needs_of_a_budget_and_the_remedy_what_is_left(dear_desk: EvalDesk) -> None:
    file = dear_desk.ask(sums(12))
    shown = " ".join(dear_desk.start(file, "--estimate").stdout.split())
    assert "With --budget, a run starts only if $0.4000 are left" in shown
    none = dear_desk.start(file, "--budget", "0.39")
    assert dear_desk.asked.total() == 0
    assert "--budget 3.28, which is expected to be enough." in none.stderr  # 12 of 0.24, and 0.4
    most = dear_desk.start(file, "--budget", "3.3")
    assert "its budget did not allow 2 runs" in most.stderr
    assert "--budget 4.08, which is expected to be enough: it counts the $3.20 that are spent." in most.stderr


def test_what_another_evaluation_paid_counts_where_it_is_used(dear_desk: EvalDesk) -> None:
    dear_desk.done(dear_desk.ask(sums(2), "two.jsonl"))
    dear_desk.models.clear()
    done = dear_desk.start(dear_desk.ask(sums(4)), "--budget", "1.1")  # 0.64 are spent, so that one more fits
    assert done.exit_code == 1
    assert started(dear_desk.result) == 3
    assert len(dear_desk.requests) == 4


def test_a_configured_budget_of_a_run_is_its_worst_case(dear_desk: EvalDesk) -> None:
    dear_desk.configure(settings="budget.max_cost_usd = 0.35")
    done = dear_desk.start(dear_desk.ask(sums(1)), "--budget", "0.36")
    assert done.exit_code == 0, done.output
    assert dear_desk.result.cost_usd <= Decimal("0.35")


def test_a_cap_of_the_day_holds(dear_desk: EvalDesk) -> None:
    dear_desk.configure(settings="budget.max_cost_usd_per_day = 0.7")
    done = dear_desk.start(dear_desk.ask(sums(3)), "--concurrency", "1")
    assert done.exit_code == 1
    assert dear_desk.result.cost_usd <= Decimal("0.7")
    assert any("max_cost_usd_per_day" in each.problem for each in dear_desk.result.outcomes)


def test_models_without_a_price_are_named_since_no_budget_limits_them(dear_desk: EvalDesk) -> None:
    dear_desk.configure(price="")
    done = dear_desk.start(dear_desk.ask(sums(1)), "--budget", "0.01")
    assert done.exit_code == 0, done.output
    assert "no price is known for first, last, so --budget does not limit its use" in done.stderr
    assert outcomes_of(dear_desk.result, "trio")["q0"].unknown_costs == 4


def test_an_estimate_has_free_baselines_and_what_is_recorded(dear_desk: EvalDesk) -> None:
    shown = dear_desk.start(dear_desk.ask(sums(4)), "--baseline", "last", "--baseline", "first", "--estimate").stdout
    rows = {words[0]: words[1:] for each in shown.splitlines() if (words := each.split())}
    assert rows["trio"][:3] == ["0", "4", "16"]
    assert rows["one:last"][:3] == ["0", "4", "4"]
    assert "free" in rows["one:first"]
    assert "Expected cost of the runs that are left: $1.20 (minimum" in shown
    assert dear_desk.asked.total() == 0
    dear_desk.done(dear_desk.ask(sums(3), "three.jsonl"))
    again = dear_desk.start(dear_desk.ask(sums(4)), "--estimate").stdout
    assert [each.split()[1:4] for each in again.splitlines() if each.startswith("trio")] == [["3", "1", "4"]]


def test_the_cost_is_confirmed_unless_a_budget_covers_it(dear_desk: EvalDesk) -> None:
    dear_desk.configure(settings="budget.confirm_above_usd = 0.5")
    file = dear_desk.ask(sums(4))
    refused = dear_desk.start(file)
    assert refused.exit_code == 2
    assert "confirmation required: 4 runs will make 16 model calls, expected to cost $0.9600" in refused.stderr
    assert "Add --yes, or --budget 0.9600 or more." in refused.stderr
    assert dear_desk.asked.total() == 0
    assert dear_desk.done(file, "--yes").complete


def test_the_limit_of_a_day_leaves_no_calls_out_of_a_run(dear_desk: EvalDesk) -> None:
    dear_desk.configure("budget.max_cost_usd_per_day = 0.5")
    file = dear_desk.ask(sums(6))
    assert dear_desk.start(file, "--concurrency", "1").exit_code == 1
    found = [*outcomes_of(dear_desk.result, "trio").values()]
    assert {(each.status, each.calls) for each in found} == {("complete", 4.0), ("failed", 0.0)}
    (problem,) = {each.problem for each in found if each.status == "failed"}
    assert "the run may cost up to $0.40" in problem
    assert "max_cost_usd_per_day = $0.5000 is too low" in problem
    dear_desk.configure()
    assert {each.calls for each in outcomes_of(dear_desk.done(file), "trio").values()} == {4.0}
