"""Advice from recorded runs without labels: real runs over HTTP, and their counts, causes and choices."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import invoke
from tests.support.model_server import Body, ModelServer, Reply, Status

PRICE = "usd_per_million = { prompt = 0, completion = 1000 }"
MODELS = ("first", "second", "third", "judge")
PROPOSE = '{ step = "propose", agents = ["first", "second", "third"], max_tokens = 100, grace_s = 60 }'
VOTE = '{ step = "vote", method = "majority", extract = "last_number" }'
Desk = Callable[..., "list[dict[str, Any]]"]


@pytest.fixture(name="models")
def _models() -> Iterator[ModelServer]:
    with ModelServer() as models:
        yield models


def configured(models: ModelServer, folder: Path, *steps: str) -> tuple[str, ...]:
    """Write a configuration whose pipeline is `one`; return the options for it and for a journal."""
    routes = [
        f'models.{name}.routes = [{{ model = "openai/{name}", api_base = "{models.url}", {PRICE} }}]' for name in MODELS
    ]
    lines = ["limits.attempts = 1", *routes, f"pipelines.one = {{ steps = [{', '.join(steps)}] }}"]
    (folder / "pipelines.toml").write_text("\n".join(lines), "utf-8")
    return ("--config", str(folder / "pipelines.toml"), "--journal", str(folder / "runs.sqlite"))


def asked(folder: Path, options: tuple[str, ...], count: int) -> None:
    """Record a run for each of so many questions."""
    (folder / "q.jsonl").write_text("".join(f'"What is {number} + 1?"\n' for number in range(count)), "utf-8")
    done = invoke("batch", "one", str(folder / "q.jsonl"), "-o", str(folder / "out.jsonl"), "--yes", *options)
    assert (folder / "out.jsonl").exists(), done.output


def advised(options: tuple[str, ...], *more: str) -> dict[str, Any]:
    done = invoke("advise", "--json", "-", *options, *more)
    assert (done.exit_code, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def number_in(body: Body) -> int:
    """Return the number of the question."""
    found = re.search(r"What is (\d+) \+ 1", json.dumps(body["messages"]))
    assert found is not None
    return int(found[1])


def right(body: Body) -> str:
    return f"The answer is {number_in(body) + 1}."


def wrong(body: Body) -> str:
    return f"The answer is {number_in(body) + 500}."


def found(advice: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in advice["recommendations"] if each["kind"] == kind]


def test_a_member_that_never_changes_a_vote_is_named_with_what_it_costs(models: ModelServer, tmp_path: Path) -> None:
    models.script("first", *[Reply(right)] * 450)
    models.script("second", *[Reply(right)] * 450)
    models.script("third", *[Reply(wrong)] * 450)
    options = configured(models, tmp_path, PROPOSE, VOTE)
    asked(tmp_path, options, 400)
    advice = advised(options)
    (idle,) = [each for each in found(advice, "idle_member") if each["subjects"] == ["third"]]
    assert idle["effect"]["value"] == 0
    assert idle["effect"]["interval"][1] < 0.02
    assert (idle["price"]["calls_before"], idle["price"]["calls_after"]) == (3, 2)
    assert 0 < idle["price"]["usd_per_1000_after"] < idle["price"]["usd_per_1000_before"]
    (one,) = advice["recorded"]
    members = {each["model"]: each for each in one["members"]}
    assert one["agreement"] == {"majority": 400}
    assert members["third"]["dissents"]["value"] == 1
    assert members["first"]["dissents"]["value"] == 0
    assert sum(each["cost_share"]["value"] for each in one["members"]) == pytest.approx(1)
    assert sum(each["seconds_share"]["value"] for each in one["members"]) == pytest.approx(1)
    assert sum(each["slowest"]["value"] for each in one["members"]) == pytest.approx(1)


def test_a_member_that_decides_a_tie_changes_the_result(models: ModelServer, tmp_path: Path) -> None:
    models.script("first", *[Reply(wrong)] * 40)
    models.script("second", *[Reply(right)] * 40)
    models.script("third", *[Reply(right)] * 40)
    options = configured(models, tmp_path, PROPOSE, VOTE)
    asked(tmp_path, options, 30)
    members = {each["model"]: each for each in advised(options)["recorded"][0]["members"]}
    changes = {model: each["changes"]["value"] for model, each in members.items()}
    assert changes == {"first": 0, "second": 1, "third": 1}


def test_a_member_whose_calls_fail_is_named_with_the_causes(models: ModelServer, tmp_path: Path) -> None:
    models.script("first", *[Reply(right)] * 80)
    models.script("second", *[Reply(right)] * 80)
    failing: list[Status | Reply] = [Status(400, "no such thing"), Reply(right)]
    models.script("third", *failing * 40)
    options = configured(models, tmp_path, PROPOSE, VOTE)
    asked(tmp_path, options, 60)
    advice = advised(options)
    (member,) = found(advice, "failing_member")
    assert member["subjects"] == ["third"]
    assert member["effect"]["value"] == pytest.approx(0.5)
    (one,) = advice["recorded"]
    assert one["degraded"]["value"] == pytest.approx(0.5)
    (cause,) = one["causes"]
    assert cause["text"].startswith("propose: N of N failed (third: ")
    assert cause["runs"] == 30
    assert {each["model"]: each["failures"] for each in one["members"]}["third"] == {"RequestRefused": 30}
    shown = " ".join(invoke("advise", *options).stdout.split())
    assert "one: replace third or give it another route" in shown
    assert "failures of third: RequestRefused 30" in shown
    assert "propose: N of N failed (third: " in shown
    assert "Agreement in 60 runs: unanimous 100.0 %." in shown


def test_a_run_without_an_answer_counts_as_failed(models: ModelServer, tmp_path: Path) -> None:
    for name in MODELS:
        models.script(name, *[Status(400, "no")] * 10)
    options = configured(models, tmp_path, PROPOSE, VOTE)
    asked(tmp_path, options, 4)
    (one,) = advised(options)["recorded"]
    assert (one["runs"], one["failed"]["value"], one["agreement"], one["dissent"]) == (4, 1, {}, None)
    assert all(each["cost_share"] is None for each in one["members"])


JUDGE = '{{ step = "vote", agent = "judge", passes = {passes} }}'


def test_a_judge_that_prefers_the_first_place_is_to_be_asked_several_times(models: ModelServer, tmp_path: Path) -> None:
    for name in MODELS[:3]:
        models.script(name, *[Reply(right)] * 80)
    models.script("judge", *[Reply('{"answer": 1}')] * 80)
    options = configured(models, tmp_path, PROPOSE, '{ step = "shuffle" }', JUDGE.format(passes=1))
    asked(tmp_path, options, 60)
    advice = advised(options)
    (passes,) = found(advice, "more_passes")
    assert passes["subjects"] == ["judge", "vote"]
    assert "passes = 3" in passes["toml"]
    assert "Price: two more calls of the judge per question." in " ".join(invoke("advise", *options).stdout.split())
    (judge,) = advice["recorded"][0]["judges"]
    assert (judge["first_place"]["value"], judge["random_order"], judge["consistency"]) == (1, True, None)
    assert judge["expected"] == pytest.approx(1 / 3)


def test_in_a_fixed_order_a_preference_for_a_place_is_not_told_from_quality(
    models: ModelServer, tmp_path: Path
) -> None:
    for name in MODELS[:3]:
        models.script(name, *[Reply(right)] * 40)
    models.script("judge", *[Reply('{"answer": 1}')] * 40)
    options = configured(models, tmp_path, PROPOSE, JUDGE.format(passes=1))
    asked(tmp_path, options, 30)
    advice = advised(options)
    assert found(advice, "more_passes") == []
    assert advice["recorded"][0]["judges"][0]["random_order"] is False
    assert "the order of the answers is always the same" in " ".join(invoke("advise", *options).stdout.split())


def test_the_passes_of_a_judge_tell_how_consistent_it_is(models: ModelServer, tmp_path: Path) -> None:
    for name in MODELS[:3]:
        models.script(name, *[Reply(right)] * 40)
    models.script("judge", *[Reply('{"answer": 1}')] * 200)
    options = configured(models, tmp_path, PROPOSE, JUDGE.format(passes=5))
    asked(tmp_path, options, 30)
    (judge,) = advised(options)["recorded"][0]["judges"]
    assert judge["random_order"] is True
    assert judge["consistency"]["n"] == 30
    assert 0.4 <= judge["consistency"]["value"] < 0.8


def test_weighted_votes_tell_who_dissents_but_not_who_changes_the_result(models: ModelServer, tmp_path: Path) -> None:
    for name in MODELS[:3]:
        models.script(name, *[Reply(lambda body: f"{right(body)}\nConfidence: 80")] * 10)
    confident = PROPOSE.replace("max_tokens", "confidence = true, max_tokens")
    options = configured(models, tmp_path, confident, VOTE.replace(" }", ", confidence = true }"))
    asked(tmp_path, options, 5)
    for each in advised(options)["recorded"][0]["members"]:
        assert each["dissents"]["value"] == 0
        assert each["changes"] is None


def test_a_single_member_and_a_judge_without_a_count_give_no_ballots(models: ModelServer, tmp_path: Path) -> None:
    models.script("first", *[Reply(right)] * 40)
    options = configured(models, tmp_path, '{ step = "propose", agents = ["first", "first"], max_tokens = 100 }', VOTE)
    asked(tmp_path, options, 5)
    (one,) = advised(options)["recorded"]
    assert one["dissent"] is None
    assert one["members"][0]["changes"] is None
    assert one["members"][0]["slowest"]["value"] == pytest.approx(0.5)


def test_a_judge_of_equivalence_tells_how_often_answers_agree(models: ModelServer, tmp_path: Path) -> None:
    for name in MODELS[:3]:
        models.script(name, *[Reply(right)] * 10)
    models.script("judge", *[Reply('{"equivalent": true}')] * 10)
    agree = '{ step = "agree", agent = "judge", makers = 1 }'
    options = configured(models, tmp_path, PROPOSE, agree, VOTE)
    asked(tmp_path, options, 4)
    (one,) = advised(options)["recorded"]
    assert one["agreement"] == {"equivalent": 4}


def test_only_runs_since_a_time_and_of_the_named_pipelines_are_read(models: ModelServer, tmp_path: Path) -> None:
    for name in MODELS[:3]:
        models.script(name, *[Reply(right)] * 10)
    options = configured(models, tmp_path, PROPOSE, VOTE)
    asked(tmp_path, options, 3)
    assert advised(options, "--since", "1h", "--pipelines", "one")["runs"] == 3
    assert advised(options, "--since", "2020-01-01")["runs"] == 3
    done = invoke("advise", *options, "--since", "2999-01-01")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no evaluation and no recorded run" in done.stderr
