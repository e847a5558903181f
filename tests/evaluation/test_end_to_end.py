"""Evaluations by the command over HTTP model servers, whose members have stated competence: the result is the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from statistics import fmean

import pytest

from moa_mcp.evaluation.result import Contestant, Evaluation, Outcome
from tests.support.eval_folder import PANEL, PIPELINES, EvalFolder, recorded, right_by_question
from tests.support.known_questions import (
    NUMBERS,
    TEXTS,
    KnownQuestion,
    as_choices,
    gym,
    in_json,
    shipped_with_inspect,
    sums,
)
from tests.support.member_server import MemberServer, serving
from tests.support.simulated_members import Member, stated

QUESTIONS = [
    *gym(18, *NUMBERS),
    *as_choices(gym(8, "gcd", "products")),
    *gym(8, *TEXTS),
    *in_json(gym(8, "calendar_arithmetic", "spell_backward")),
    *shipped_with_inspect("theory_of_mind")[:8],
]
"""Questions that others wrote: numbers, choices, texts and objects, each with its right answer."""
TEMPERATURES = {"self_moa": 0.7, "vote": 0.3, "council": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvalFolder]:
    """Where three pipelines have answered the questions."""
    with serving(PANEL, QUESTIONS) as server:
        folder = EvalFolder(tmp_path_factory.mktemp("evaluated"), server)
        folder.configure()
        folder.ask(QUESTIONS)
        folder.evaluated("--pipelines", "self_moa,vote,council", "--yes")
        yield folder


def outcomes(result: Evaluation, contestant: str) -> dict[str, Outcome]:
    return {each.question: each for each in result.outcomes if each.contestant == contestant}


def scores(result: Evaluation, contestant: str) -> dict[str, float | None]:
    return {question: each.score for question, each in outcomes(result, contestant).items()}


def test_scores_of_questions_that_others_wrote_are_what_the_model_server_knows(folder: EvalFolder) -> None:
    result, seen = folder.result, folder.server.seen()
    assert result.complete
    assert scores(result, "self_moa") == right_by_question(seen, "able", "merged")
    assert scores(result, "council") == right_by_question(seen, "third", "merged")
    known = {each.id: each for each in QUESTIONS}
    for question, outcome in outcomes(result, "vote").items():
        assert outcome.score == float(stated(known[question], outcome.answer or "") == known[question].right)
    for standing in result.standings:
        assert standing.score == pytest.approx(fmean(filter_none(scores(result, standing.contestant))))


def filter_none(values: dict[str, float | None]) -> list[float]:
    return [value for value in values.values() if value is not None]


def test_single_models_are_scored_by_samples_that_the_pipelines_asked_anyway(folder: EvalFolder) -> None:
    result, seen = folder.result, folder.server.seen()
    free = [each for each in result.contestants if each.kind == "model"]
    assert [each.name for each in free] == ["one:able", "one:fair", "one:other", "one:third"]
    for each in free:
        source = each.derived_from or ""
        truth = right_by_question(seen, each.name.removeprefix("one:"), "answer", TEMPERATURES[source])
        assert scores(result, each.name) == pytest.approx(truth)
    samples = sum(each.part == "answer" for each in seen)
    assert samples == len(QUESTIONS) * (6 + 3 + 3)  # those of the pipelines alone


def test_an_upper_bound_is_right_where_any_sample_is(folder: EvalFolder) -> None:
    seen = folder.server.seen()
    right = right_by_question(seen, "able", "answer")
    assert scores(folder.result, "best_of:self_moa:6") == {each: float(share > 0) for each, share in right.items()}


def test_the_same_command_again_asks_nothing_and_has_the_same_result(folder: EvalFolder) -> None:
    before, asked = folder.result, len(folder.server.seen())
    after = folder.evaluated("--pipelines", "self_moa,vote,council", "--yes")
    assert len(folder.server.seen()) == asked
    assert after.model_copy(update={"created_at": before.created_at}) == before


def test_a_changed_pipeline_is_another_evaluation_and_only_its_runs_are_asked(folder: EvalFolder) -> None:
    before, asked = folder.result, len(folder.server.seen())
    folder.configure(PIPELINES.replace("temperature = 0.3", "temperature = 0.4"))
    try:
        after = folder.evaluated("--pipelines", "self_moa,vote", "--yes")
    finally:
        folder.configure()
    assert after.digest != before.digest
    assert {each.temperature for each in folder.server.seen()[asked:] if each.part == "answer"} == {0.4}
    changed = {each.name for each in own(after) if each.digest not in {other.digest for other in own(before)}}
    assert changed == {"vote"}


def own(result: Evaluation) -> list[Contestant]:
    return [each for each in result.contestants if each.kind == "pipeline"]


def test_an_evaluation_that_is_killed_again_and_again_asks_nothing_twice_that_is_recorded(tmp_path: Path) -> None:
    questions, options = sums(40), ("--pipelines", "self_moa,council", "--yes", "-q")
    known: set[tuple[str, str, str]] = set()
    sizes: list[int] = []
    with serving(PANEL, questions, latency_s=0.02) as server:
        folder = prepared(tmp_path / "killed", server, questions)
        for _ in range(3):
            with folder.started(*options) as process:
                assert server.wait_for(100)
                process.kill()
            assert not known & asked_of(folder, questions)
            known = answered(folder)
            sizes.append(len(known))
            server.clear()
        result = folder.evaluated(*options)
        assert not known & asked_of(folder, questions)
        whole = prepared(tmp_path / "whole", server, questions).evaluated(*options)
    assert 0 < sizes[0] < sizes[1] < sizes[2]
    assert result.complete
    for contestant in ("self_moa", "council", "one:able", "one:fair"):
        assert scores(result, contestant) == scores(whole, contestant)
    assert [each.interval for each in result.comparisons] == [each.interval for each in whole.comparisons]


def prepared(path: Path, server: MemberServer, questions: list[KnownQuestion]) -> EvalFolder:
    path.mkdir()
    folder = EvalFolder(path, server)
    folder.configure()
    folder.ask(questions)
    return folder


PARTS = {("self_moa", 1): "answer", ("self_moa", 2): "merged"}
PARTS |= {("council", 1): "answer", ("council", 2): "verdict", ("council", 3): "merged"}


def answered(folder: EvalFolder) -> set[tuple[str, str, str]]:
    """Return the recorded calls: question, model and part."""
    calls = recorded(folder.path / "runs.sqlite")
    return {(each.question, each.model, PARTS[each.pipeline, each.step]) for each in calls}


def asked_of(folder: EvalFolder, questions: list[KnownQuestion]) -> set[tuple[str, str, str]]:
    texts = {each.id: each.text for each in questions}
    return {(texts[each.question], each.model, each.part) for each in folder.server.seen()}


def test_a_budget_leaves_questions_unasked_until_it_is_higher(tmp_path: Path) -> None:
    questions = sums(12)
    with serving(PANEL, questions) as server:
        folder = prepared(tmp_path / "limited", server, questions)
        options = ("--pipelines", "self_moa", "--concurrency", 2)
        result = folder.evaluated(*options, "--budget", "0.15", code=1)
        assert not result.complete
        assert result.cost_usd <= Decimal("0.15")
        asked = {each.question for each in server.seen()}
        assert 0 < len(asked) < len(questions)
        waiting = {each.question for each in result.outcomes if each.status == "not_started"}
        assert waiting == {each.id for each in questions} - asked
        server.clear()
        assert folder.evaluated(*options, "--budget", 10).complete
        assert {each.question for each in server.seen()} == waiting


JUDGE = Member("judge", position=2.0, ties=0.2)
DOWN = 'models.down.routes = [{ model = "openai/down", api_base = "http://127.0.0.1:9/v1" }]\n'


def test_a_judge_of_open_questions_shows_its_planted_liking_for_the_first_answer(tmp_path: Path) -> None:
    questions = sums(60)
    with serving((*PANEL, JUDGE), questions) as server:
        path = tmp_path / "judged"
        path.mkdir()
        folder = EvalFolder(path, server, (*PANEL, JUDGE))
        folder.configure(DOWN + PIPELINES)
        folder.ask(questions, answered=False)
        options = ("--pipelines", "self_moa", "--yes")
        (duel,) = folder.evaluated(*options, "--judge", "judge").duels
        failed = folder.run(*options, "--judge", "down", "--sample", 3)
    assert (duel.contestant, duel.against) == ("self_moa", "one:able")
    assert duel.n == len(questions)
    assert duel.position_interval is not None
    assert duel.position_interval.low > 0.1
    assert "the judge prefers the answer that it sees first" in duel.notes[0]
    assert failed.returncode == 1
    assert "the judge did not reply" in failed.stderr
    assert "can't connect to http://127.0.0.1:9/v1" in failed.stderr


def test_the_gate_is_missed_unless_the_gain_is_surely_that_high(folder: EvalFolder) -> None:
    options = ("--pipelines", "vote", "--yes", "-q")
    low = min(each.interval.low for each in folder.evaluated(*options).comparisons if each.interval)
    assert folder.run(*options, "--fail-under", f"{100 * low - 1:.1f}").returncode == 0
    assert folder.result.gate_passed
    assert folder.run(*options, "--fail-under", f"{100 * low + 1:.1f}").returncode == 4
    assert folder.json["gate_passed"] is False


def test_what_the_command_writes_is_json_that_other_programs_read(folder: EvalFolder) -> None:
    text = (folder.path / "result.json").read_text("utf-8")
    found = json.loads(text, parse_constant=pytest.fail)
    assert {each["id"] for each in found["questions"]} == {each.id for each in QUESTIONS}
