"""What can be done with the runs of a journal that an earlier version wrote; `fixtures/README.md` describes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from moa_mcp.cli import commands
from tests.support.tables import X, pipe

FIXTURE = Path(__file__).parent / "fixtures" / "runs.sqlite"
COMPLETE, STRAGGLER, SHORT, FAILED, INTERRUPTED, FORK = (str(digit) * 16 for digit in range(1, 7))
STATUSES = {
    COMPLETE: "complete",
    STRAGGLER: "degraded",
    SHORT: "degraded",
    FAILED: "failed",
    INTERRUPTED: "interrupted",
    FORK: "complete",
}

Moa = Callable[..., str]


@pytest.fixture
def moa(tmp_path: Path) -> Moa:
    """Run a command on a copy of the journal; return what it printed."""
    journal, config = tmp_path / "runs.sqlite", tmp_path / "pipelines.toml"
    shutil.copyfile(FIXTURE, journal)
    config.write_text(f'journal.retention_days = "forever"\n{pipe(X)}', "utf-8")

    def invoke(*arguments: str) -> str:
        environ = {"MOA_MCP_JOURNAL": str(journal), "MOA_MCP_CONFIG": str(config)}
        group = [] if arguments[0] == "ask" else ["runs"]
        result = CliRunner().invoke(commands, [*group, *arguments], env=environ)
        assert result.exit_code == 0, result.output
        return result.stdout

    return invoke


def exported(moa: Moa, run_id: str) -> dict[str, Any]:
    exported: dict[str, Any] = json.loads(moa("export", run_id))
    return exported


def texts(trace: dict[str, Any], step: int) -> list[str | None]:
    return [call["text"] for call in trace["steps"][step - 1]["calls"]]


def kinds(ended: Sequence[Any]) -> list[str]:
    """Return the kinds of failures of calls or attempts."""
    return [each["failure"]["kind"] for each in ended if each["failure"]]


def test_all_runs_are_listed_with_their_status(moa: Moa) -> None:
    listed = json.loads(moa("--json"))
    assert {each["run_id"]: each["status"] for each in listed} == STATUSES


@pytest.mark.parametrize("run_id", STATUSES)
def test_each_run_is_shown_with_its_question_and_status(moa: Moa, run_id: str) -> None:
    shown = moa("show", run_id, "--full")
    assert "what is 6 * 7?" in shown
    assert f"{STATUSES[run_id]}  " in shown


def test_an_exported_run_has_its_answers_and_what_they_cost(moa: Moa) -> None:
    trace = exported(moa, COMPLETE)
    assert (trace["answer"], trace["cost_usd"]) == ("z says 42", 0.8)
    assert texts(trace, 1) == ["a says 42", "b says 42", "c says 42"]
    assert trace["steps"][1]["calls"][0]["messages"][-1]["content"] == "A complete run: what is 6 * 7?"
    assert exported(moa, FORK)["forked_from"] == COMPLETE


@pytest.mark.parametrize(
    ("run_id", "of_calls", "of_attempts"),
    [
        (STRAGGLER, ["StragglerDropped"], ["Stopped"]),
        (SHORT, ["BudgetReached", "BudgetReached", "CallSkipped"], ["CallSkipped"]),
        (FAILED, ["ServerFailed"] * 3, ["ServerFailed"] * 3),
        (INTERRUPTED, [], ["Stopped"]),
    ],
)
def test_the_kinds_of_failures_have_their_present_names(
    moa: Moa, run_id: str, of_calls: list[str], of_attempts: list[str]
) -> None:
    calls = [call for step in exported(moa, run_id)["steps"] for call in step["calls"]]
    assert kinds(calls) == of_calls
    assert kinds([attempt for call in calls for attempt in call["attempts"]]) == of_attempts


def test_an_interrupted_run_is_resumed_from_the_answers_on_record(moa: Moa) -> None:
    moa("resume", INTERRUPTED, "--offline")
    trace = exported(moa, INTERRUPTED)
    assert trace["status"] == "complete"
    assert texts(trace, 1) == ["a says 42", "b says 42", "c says 42"]
    assert trace["answer"].startswith("[simulated z]")


def test_a_question_follows_a_run(moa: Moa) -> None:
    follows = json.loads(moa("ask", "p", "And?", "--continue", COMPLETE, "--offline", "--json"))
    earlier = exported(moa, COMPLETE)
    assert follows["continues"] == COMPLETE
    assert [each["content"] for each in follows["question"]["turns"]] == [
        earlier["question"]["text"],
        earlier["answer"],
    ]


def test_a_failed_run_is_resumed(moa: Moa) -> None:
    moa("resume", FAILED, "--offline")
    trace = exported(moa, FAILED)
    assert trace["status"] == "complete"
    assert all(str(text).startswith("[simulated ") for text in texts(trace, 1))


@pytest.mark.parametrize("run_id", [COMPLETE, STRAGGLER, FORK])
def test_a_run_is_forked_with_the_answers_before_the_step(moa: Moa, run_id: str) -> None:
    moa("fork", run_id, "--from", "2", "--offline")
    forked = exported(moa, "last")
    assert (forked["status"], forked["forked_from"]) == (STATUSES[run_id], run_id)
    assert texts(forked, 1) == texts(exported(moa, run_id), 1)
    assert forked["answer"].startswith("[simulated z]")
