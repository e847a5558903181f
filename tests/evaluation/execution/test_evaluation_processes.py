"""Evaluations in real processes: killed, interrupted, started twice at once, and continued."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing

import pytest

from tests.cli.test_cli import POSIX, Terminal
from tests.cli.test_cli_runs import environ as own_environ
from tests.support.eval_desk import EvalDesk, outcomes_of, solver, solving, sums
from tests.support.model_server import Hang, Held, Reply
from tests.support.nursery import Nursery

__all__ = ["own_environ"]

pytestmark = POSIX
LATE_S = 90.0
"""Each process loads the libraries of the statistics, which takes seconds on a busy machine."""
CONTROLS = "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
"""Makes the terminal send the signals of its keys."""


@pytest.fixture
def environ(own_environ: dict[str, str], eval_desk: EvalDesk) -> dict[str, str]:
    return {**own_environ, "XDG_DATA_HOME": str(eval_desk.folder), "OPENAI_API_KEY": "k"}


def answered(desk: EvalDesk) -> int:
    """Return how many answers are in the journal."""
    with closing(sqlite3.connect(desk.folder / "runs.sqlite")) as db:
        return sum(body.count('"kind":"attempt_finished"') for (body,) in db.execute("SELECT body FROM events"))


def test_what_is_recorded_is_not_asked_again_after_kills(
    eval_desk: EvalDesk, nursery: Nursery, environ: dict[str, str]
) -> None:
    solving(eval_desk.models, first=0.5)
    file = eval_desk.ask(sums(60))
    arguments = eval_desk.command(file, "--concurrency", "4")
    total = 0
    for _ in range(2):
        with nursery.start(*arguments, environ=environ) as process:
            eval_desk.models.wait_for(lambda requests: len(requests) >= 60, 60)
            process.kill()
            process.wait(10)
        total += len(eval_desk.requests)
        recorded = answered(eval_desk)
        eval_desk.models.clear()
    done = nursery.run(*arguments, environ=environ, late_s=LATE_S)
    assert done.returncode == 0, done.stderr
    assert len(eval_desk.requests) == 60 * 4 - recorded
    assert total + len(eval_desk.requests) - 60 * 4 <= 2 * 16  # only what was in progress at a kill
    eval_desk.models.clear()
    assert nursery.run(*arguments, environ=environ, late_s=LATE_S).returncode == 0
    assert eval_desk.asked.total() == 0
    assert {each.score for each in outcomes_of(eval_desk.result, "trio").values()} == {1.0}


def test_ctrl_c_says_how_to_go_on(eval_desk: EvalDesk, nursery: Nursery, environ: dict[str, str]) -> None:
    answer = Reply(solver())
    eval_desk.models.script("last", answer, answer, Hang())
    arguments = eval_desk.command(eval_desk.ask(sums(4)), "--concurrency", "2")
    terminal = Terminal(environ, *arguments, nursery=nursery, prelude=CONTROLS)
    terminal.until("2 of 4")
    eval_desk.models.wait_for(lambda requests: sum(each.model == "last" for each in requests) == 4)
    terminal.type("\x03")
    assert terminal.until_end() == 130
    told = " ".join(terminal.shown.rsplit("Interrupted:")[-1].split())
    assert told == (
        "2 of 4 runs have a result. Run the same command again to continue; what has a result is not paid again."
    )
    solving(eval_desk.models)
    eval_desk.models.clear()
    assert nursery.run(*arguments, environ=environ, late_s=LATE_S).returncode == 0
    assert {model for model, _ in eval_desk.asked} == {"last"}
    assert eval_desk.asked.total() == 2


def test_sigterm_stops_an_evaluation(eval_desk: EvalDesk, nursery: Nursery, environ: dict[str, str]) -> None:
    eval_desk.models.script("first", Hang())
    arguments = ["eval", eval_desk.ask(sums(1)), "--pipelines", "trio", *eval_desk.options, "--journal", "none"]
    with nursery.start(*arguments, environ=environ) as process:
        eval_desk.models.wait_for(lambda requests: len(requests) >= 1, 30)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(late_s=LATE_S)
        assert process.wait(10) == 143
    assert stderr.splitlines()[-1] == (
        "Interrupted: 0 of 1 run have a result. No run was recorded, because of --journal none."
    )


def test_two_processes_ask_each_question_once_and_can_not_share_a_budget(
    eval_desk: EvalDesk, nursery: Nursery, environ: dict[str, str]
) -> None:
    eval_desk.models.script("first", Held())
    arguments = eval_desk.command(eval_desk.ask(sums(3)))
    with nursery.start(*arguments, environ=environ) as first:
        eval_desk.models.wait_for(lambda requests: len(requests) == 3 * 3, 30)
        refused = nursery.run(*arguments, "--budget", "9", environ=environ, late_s=LATE_S)
        with nursery.start(*arguments, environ=environ) as second:
            second.stderr.readline()
            eval_desk.models.release()
            assert first.wait(30) == 0
            assert second.wait(30) == 0
    assert refused.returncode == 1
    assert "another process executes this evaluation" in refused.stderr
    assert len(eval_desk.requests) == 3 * 4


def test_the_progress_has_the_cost_so_far_and_the_expected_end(
    eval_desk: EvalDesk, nursery: Nursery, environ: dict[str, str]
) -> None:
    eval_desk.models.script("last", Reply(solver(), usage={"completion_tokens": 80}), Hang())
    arguments = eval_desk.command(eval_desk.ask(sums(2)), "--concurrency", "1")
    terminal = Terminal(environ, *arguments, nursery=nursery, size=(160, 24), prelude=CONTROLS)
    terminal.until("left, ends")
    assert "1 of 2, cost $0." in terminal.shown
    terminal.type("\x03")
    assert terminal.until_end() == 130
