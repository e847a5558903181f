"""What is an option of a command and what is asked: a question may begin with a dash."""

from __future__ import annotations

import json

import pytest

from moa_mcp.providers.backend import simulated
from tests.cli.test_cli import invoke


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let simulated models answer without a delay."""
    monkeypatch.setattr(simulated, "__defaults__", (0.0,))


QUESTIONS = [
    "-5 + 3 = ?",
    "-1",
    "-x",
    "-X^2 + 1",
    "- a list\n- item",
    "-- is that a comment?",
    "--help me with this",
    "--seed 5 is what?",
    "-q or -v?",
    "-hello-world",
    "-∞",
    "--5",
    "---",
    "—",
    "--why?",
    "\u22123",
]


def asked(*args: str) -> str:
    """Return the question that a run was asked."""
    done = invoke("--offline", "ask", *args, "--json")
    assert done.exit_code == 0, done.output
    question: str = json.loads(done.stdout)["question"]["text"]
    return question


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_that_begins_with_a_dash_is_asked(question: str) -> None:
    assert asked("vote", question) == question
    assert asked("--seed", "7", "vote", question, "-q") == question


@pytest.mark.parametrize("question", [*QUESTIONS, "--json", "-q", "--", "--why", "-h"])
def test_after_two_dashes_anything_is_a_question(question: str) -> None:
    done = invoke("--offline", "ask", "--json", "vote", "--", question)
    assert json.loads(done.stdout)["question"]["text"] == question


def test_a_value_may_begin_with_a_dash() -> None:
    done = invoke("--offline", "ask", "vote", "Hi", "--json", "--system", "-5 is cold.")
    assert json.loads(done.stdout)["question"]["system"] == "-5 is cold."


@pytest.mark.parametrize(
    ("args", "option", "meant"),
    [
        (["ask", "vote", "--jsn"], "--jsn", "--json"),
        (["ask", "vote", "Hi", "--jsn"], "--jsn", "--json"),
        (["ask", "vote", "-json"], "-json", "--json"),
        (["ask", "vote", "Hi", "--max-cots=3"], "--max-cots", "--max-cost"),
        (["ask", "vote", "Hi", "--model", "x"], "--model", "--models"),
        (["ask", "vote", "--why"], "--why", ""),
        (["ask", "vote", "-z", "Hi"], "-z", ""),
        (["ask", "-z", "Hi"], "-z", ""),
        (["ask", "vote", "Hi", "-v"], "-v", ""),
        (["check", "--strcit"], "--strcit", "--strict"),
        (["check", "--model"], "--model", ""),
        (["runs", "--limt", "3"], "--limt", "--limit"),
        (["--prot", "80"], "--prot", "--port"),
        (["--model"], "--model", ""),
        (["--offline", "--verbose", "ask", "vote", "Hi"], "--verbose", ""),
    ],
)
def test_an_unknown_option_is_refused_and_only_a_near_one_suggested(args: list[str], option: str, meant: str) -> None:
    refused = invoke(*args)
    assert refused.exit_code == 2
    assert f"No such option '{option}'." in refused.stderr
    assert ("Did you mean" in refused.stderr) == bool(meant)
    assert f"Did you mean '{meant}'?" in refused.stderr or not meant
    assert ("Put -- before a question" in refused.stderr) == (args[0] == "ask" and not meant)


def test_an_option_before_the_name_of_its_command_is_told_where_it_belongs() -> None:
    refused = invoke("--offline", "--json", "ask", "vote", "Hi")
    assert refused.exit_code == 2
    assert "--json belongs to" in refused.stderr
    assert "write it after ask" in refused.stderr


@pytest.mark.parametrize(
    ("args", "fault", "remedy"),
    [
        ([], "the pipeline and the question are missing", 'moa-mcp ask vote "Why is the sky blue?"'),
        (["What is 2 + 2?"], "the pipeline is missing", "moa-mcp ask vote 'What is 2 + 2?'"),
        (["-5 + 3 = ?"], "the pipeline is missing", "moa-mcp ask vote '-5 + 3 = ?'"),
        (["Why so?", "refine"], "the pipeline is missing", "moa-mcp ask refine 'Why so?'"),
    ],
)
def test_a_missing_pipeline_is_told_with_an_example(args: list[str], fault: str, remedy: str) -> None:
    refused = invoke("ask", *args)
    told, helps = refused.stderr.splitlines()
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert told.startswith(f"Error: {fault}")
    assert remedy in helps
