"""``moa-mcp ask`` above confirm_above_usd: who sits at a terminal is asked, a script is told what to add."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.test_cli import POSIX, Terminal, invoke
from tests.support.model_server import ModelServer

CONFIG = """
budget.confirm_above_usd = 0.5
models.a.routes = [{ model = "openai/a", api_base = "URL", usd_per_million = { prompt = 0, completion = 1000 } }]
pipelines.dear.steps = [{ step = "propose", agents = ["a"], max_tokens = 2000 }]
"""
ASKED = (
    "dear will make 1 model call, expected to cost $0.7000, and at most $2.00 if nothing has to be repeated; "
    "confirm_above_usd is $0.5000."
)


@pytest.fixture
def models(serving: ModelServer) -> ModelServer:
    serving.clear()
    return serving


@pytest.fixture
def asks(serving: ModelServer, tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "pipelines.toml"
    path.write_text(CONFIG.replace("URL", serving.url))
    return ("ask", "dear", "Is it going to rain?", "--config", str(path))


def test_without_a_terminal_a_run_above_the_limit_is_refused(asks: tuple[str, ...], models: ModelServer) -> None:
    refused = invoke(*asks)
    too_little = invoke(*asks, "--max-cost", "0.69")
    remedy = (
        "Add --yes, or --max-cost 2.0000 or more. 2.0000 covers the worst-case cost of every call with a known price; "
        "a lower budget may skip calls."
    )
    told = f"Error: not started, confirmation required: {ASKED}\n{remedy}\n"
    assert (refused.exit_code, refused.stdout, refused.stderr) == (2, "", told)
    assert (too_little.exit_code, too_little.stderr) == (2, told)
    assert models.requests == ()


@pytest.mark.parametrize("agreed", [("--yes",), ("--max-cost", "2")])
def test_an_option_agrees_without_a_terminal(
    asks: tuple[str, ...], agreed: tuple[str, ...], models: ModelServer
) -> None:
    done = invoke(*asks, *agreed, "--quiet")
    assert (done.exit_code, done.stdout, len(models.requests)) == (0, "answer 1 from a\n", 1)


def test_a_fork_above_the_limit_needs_an_agreement_of_its_own(
    asks: tuple[str, ...], models: ModelServer, tmp_path: Path
) -> None:
    journal = ("--journal", str(tmp_path / "journal.sqlite"))
    invoke(*asks, *journal, "--yes")
    models.clear()
    fork = ("runs", "fork", "last", "--from", "1", *asks[3:], *journal)
    refused = invoke(*fork)
    assert (refused.exit_code, refused.stdout, models.requests) == (2, "", ())
    assert refused.stderr.startswith(f"Error: not started, confirmation required: {ASKED}")
    agreed = invoke(*fork, "--yes", "--quiet")
    assert (agreed.exit_code, agreed.stdout, len(models.requests)) == (0, "answer 1 from a\n", 1)
    capped = invoke(*fork, "--max-cost", "1", "--quiet")
    assert (capped.exit_code, len(models.requests)) == (1, 1)
    assert "max_cost_usd = $1.00 has no room" in capped.stderr


def test_a_resumed_run_above_the_limit_needs_a_confirmation_of_its_higher_budget(
    asks: tuple[str, ...], models: ModelServer, tmp_path: Path
) -> None:
    journal = ("--journal", str(tmp_path / "journal.sqlite"))
    assert invoke(*asks, *journal, "--max-cost", "0.5").exit_code == 1
    resume = ("runs", "resume", "last", *asks[3:], *journal, "--quiet")
    refused = invoke(*resume, "--max-cost", "0.6")
    assert (refused.exit_code, refused.stdout, models.requests) == (2, "", ())
    assert refused.stderr.startswith(f"Error: not started, confirmation required: {ASKED}")
    confirmed = invoke(*resume, "--max-cost", "3")
    assert (confirmed.exit_code, confirmed.stdout, len(models.requests)) == (0, "answer 1 from a\n", 1)


@pytest.mark.parametrize("free", ["--estimate", "--offline"])
def test_what_costs_nothing_needs_no_agreement(asks: tuple[str, ...], free: str, models: ModelServer) -> None:
    done = invoke(*asks, free)
    assert (done.exit_code, "confirm" in done.stderr, models.requests) == (0, False, ())


@POSIX
@pytest.mark.parametrize(
    ("typed", "code", "said", "calls"),
    [
        ("y\n", 0, "answer 1 from a", 1),
        ("n\n", 1, "No model was called and nothing was spent.", 0),
        ("\x04", 130, "Interrupted.", 0),
    ],
    ids=["yes", "no", "Ctrl-D"],
)
def test_at_a_terminal_a_run_above_the_limit_starts_when_somebody_says_yes(
    asks: tuple[str, ...],
    models: ModelServer,
    typed: str,
    code: int,
    said: str,
    calls: int,
) -> None:
    terminal = Terminal({**os.environ, "TERM": "xterm"}, *asks)
    terminal.until("Start the run? [y/N]")
    assert models.requests == ()
    terminal.type(typed)
    assert terminal.until_end() == code
    assert said in terminal.shown
    assert len(models.requests) == calls
