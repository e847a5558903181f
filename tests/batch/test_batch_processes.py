"""Batches in real processes: killed, interrupted at a terminal, started twice at once, and continued."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from moa_mcp.batch.output import SUFFIX
from tests.cli.test_cli import POSIX, Terminal
from tests.cli.test_cli_runs import environ
from tests.support.batches import Desk
from tests.support.model_server import Hang, Held, Reply
from tests.support.nursery import Nursery

__all__ = ["environ"]

pytestmark = POSIX

QUESTIONS = [f"Question {number}?" for number in range(1000)]
KILLS = 3
ECHO = Reply(lambda body: f"to {body['messages'][-1]['content']}")
CONTROLS = "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
"""Makes the terminal send the signals of its keys."""


def command(desk: Desk, file: str, *args: str) -> list[str]:
    return ["batch", "one", file, "-o", str(desk.out), *desk.options, *args]


def answered(desk: Desk) -> set[str]:
    """Return the runs that have their answer in the journal."""
    with closing(sqlite3.connect(desk.folder / "runs.sqlite")) as db:
        sql = 'SELECT run_id FROM events WHERE body LIKE \'%"kind":"attempt_finished"%\''
        return {run_id for (run_id,) in db.execute(sql)}


def test_a_thousand_questions_are_answered_once_though_their_process_is_killed_again_and_again(
    desk: Desk, nursery: Nursery, environ: dict[str, str]
) -> None:
    desk.models.script("first", ECHO)
    file = desk.ask(*QUESTIONS)
    arguments = command(desk, file, "--concurrency", "32")
    recorded: list[tuple[set[str], set[str]]] = []
    """After each kill: the runs with an answer, and what was asked later."""
    for _ in range(KILLS):
        with nursery.start(*arguments, environ=environ) as process:
            desk.models.wait_for(lambda requests: len(requests) >= 240, 60)
            process.kill()
            process.wait(10)
        prefix = Path(f"{desk.out}{SUFFIX}").read_text("ascii").splitlines()
        assert [json.loads(line)["item"] for line in prefix] == [*range(1, len(prefix) + 1)]
        for _, asked in recorded:
            asked.update(desk.asked)
        recorded.append((answered(desk), set()))
        desk.models.clear()
    with nursery.start(*arguments, environ=environ) as process:
        told = process.stderr.read()
        assert process.wait(60) == 0
    assert [line["answer"] for line in desk.lines] == [f"to {question}" for question in QUESTIONS]
    by_run = {line["run_id"]: QUESTIONS[line["item"] - 1] for line in desk.lines}
    for runs, asked in recorded:
        assert not {by_run[run] for run in runs} & (asked | desk.asked.keys())
    assert "1000 items: 1000 complete" in told


def test_ctrl_c_stops_a_batch_which_the_same_command_continues(
    desk: Desk, nursery: Nursery, environ: dict[str, str]
) -> None:
    desk.models.script("first", ECHO, ECHO, Hang())
    file = desk.ask("one?", "two?", "three?", "four?")
    arguments = command(desk, file, "--concurrency", "2")
    terminal = Terminal(environ, *arguments, nursery=nursery, prelude=CONTROLS)
    terminal.until("2 of 4")
    desk.models.wait_for(lambda requests: len(requests) == 4)
    terminal.type("\x03")
    assert terminal.until_end() == 130
    told = " ".join(terminal.shown.rsplit("Interrupted:")[-1].split())
    assert told == (
        f"2 of 4 items have a result. {desk.out}{SUFFIX} has the first 2. Run the same command again to continue; "
        "what has a result is not paid again."
    )
    prefix = Path(f"{desk.out}{SUFFIX}").read_text("ascii").splitlines()
    assert [json.loads(line)["answer"] for line in prefix] == ["to one?", "to two?"]
    desk.models.clear()
    desk.models.script("first", ECHO)
    assert nursery.run(*arguments, environ=environ).returncode == 0
    assert desk.asked == {"three?": 1, "four?": 1}
    assert [line["status"] for line in desk.lines] == ["complete"] * 4


def test_sigterm_stops_a_batch_like_ctrl_c(desk: Desk, nursery: Nursery, environ: dict[str, str]) -> None:
    desk.models.script("first", Hang())
    with nursery.start(*command(desk, desk.ask("one?"), "--journal", "none"), environ=environ) as process:
        desk.models.wait_for(lambda requests: len(requests) == 1)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate()
        assert process.wait(10) == 143
    assert stderr.splitlines()[-1] == (
        "Interrupted: 0 of 1 item have a result. No run was recorded, because of --journal none."
    )
    assert not Path(f"{desk.out}{SUFFIX}").exists()


def test_two_processes_with_the_same_batch_ask_each_question_once(
    desk: Desk, nursery: Nursery, environ: dict[str, str]
) -> None:
    desk.models.script("first", Held())
    questions = [f"{number}?" for number in range(6)]
    options = ["-q", "--name", "same", *desk.options]
    with nursery.start("batch", "one", desk.ask(*questions), *options, environ=environ) as first:
        desk.models.wait_for(lambda requests: len(requests) == 6)
        more = desk.ask(*questions, "more?", name="more.jsonl")
        with nursery.start("batch", "one", more, *options, environ=environ) as second:
            desk.models.wait_for(lambda requests: len(requests) == 7)  # so it has looked at the others
            desk.models.release()
            outputs = [process.communicate() for process in (first, second)]
    assert outputs[0] == ("".join(outputs[1][0].splitlines(keepends=True)[:6]), "")
    assert desk.asked == Counter([*questions, "more?"])


def test_a_run_whose_process_dies_is_taken_over_by_the_one_that_follows_it(
    desk: Desk, nursery: Nursery, environ: dict[str, str]
) -> None:
    desk.models.script("first", Hang(), ECHO)
    options = ["-q", "--name", "same", *desk.options]
    with nursery.start("batch", "one", desk.ask("one?"), *options, environ=environ) as first:
        desk.models.wait_for(lambda requests: len(requests) == 1)
        more = desk.ask("one?", "more?", name="more.jsonl")
        with nursery.start("batch", "one", more, *options, environ=environ) as second:
            desk.models.wait_for(lambda requests: len(requests) == 2)
            first.kill()
            stdout, _ = second.communicate()
    assert [json.loads(line)["answer"] for line in stdout.splitlines()] == ["to one?", "to more?"]


def test_a_full_disk_stops_a_batch_which_continues_when_there_is_room(
    desk: Desk, nursery: Nursery, environ: dict[str, str]
) -> None:
    desk.models.script("first", Reply("word " * 2000))
    file = desk.ask(*(f"{number}?" for number in range(60)))
    arguments = command(desk, file, "--concurrency", "4")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    stopped = nursery.run(*arguments, environ=environ, prelude=limit)
    assert stopped.returncode == 1
    assert "Run the same command again to continue" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    recorded = answered(desk)
    desk.models.clear()
    assert nursery.run(*arguments, environ=environ).returncode == 0
    assert len(desk.lines) == 60
    by_run = {line["run_id"]: f"{line['item'] - 1}?" for line in desk.lines}
    assert not {by_run[run] for run in recorded} & desk.asked.keys()


def test_questions_from_a_pipe_are_the_same_batch_whatever_the_shell_names_it(
    desk: Desk, nursery: Nursery, environ: dict[str, str]
) -> None:
    ids = set[str]()
    for name in ("63", "64"):
        pipe = desk.folder / name
        os.mkfifo(pipe)
        with nursery.start("batch", "one", str(pipe), *desk.options, environ=environ) as process:
            pipe.write_text('"one?"\n')
            ids.add(json.loads(process.communicate()[0])["run_id"])
    assert len(ids) == 1


def test_the_cost_is_confirmed_at_the_terminal(desk: Desk, nursery: Nursery, environ: dict[str, str]) -> None:
    desk.configure(settings="budget.confirm_above_usd = 0.1")
    arguments = command(desk, desk.ask("one?", "two?"))
    for reply, code in (("n\n", 1), ("y\n", 0)):
        terminal = Terminal(environ, *arguments, nursery=nursery)
        terminal.until("Start the batch? [y/N]")
        assert desk.asked.total() == 0
        terminal.type(reply)
        assert terminal.until_end() == code
    assert "2 runs will make 2 model calls, expected to cost $0.1200" in " ".join(terminal.shown.split())
    assert desk.asked.total() == 2


def test_questions_and_lines_are_not_exchanged_with_a_terminal(
    desk: Desk, nursery: Nursery, environ: dict[str, str]
) -> None:
    for arguments, told in (
        (["batch", "one", desk.ask("one?"), *desk.options], "the output is missing"),
        (command(desk, "-"), "the questions are missing"),
    ):
        terminal = Terminal(environ, *arguments, nursery=nursery)
        assert terminal.until_end() == 2
        assert told in terminal.shown


def test_a_batch_stops_when_nobody_reads_its_lines(desk: Desk, nursery: Nursery, environ: dict[str, str]) -> None:
    file = desk.ask(*(f"{number}?" for number in range(40)))
    with nursery.start("batch", "one", file, "--concurrency", "1", *desk.options, environ=environ) as process:
        process.stdout.close()
        stderr = process.stderr.read()
        assert process.wait(10) == 1
    assert "Error: can't write stdout: Broken pipe" in stderr
    assert desk.asked.total() < 40
