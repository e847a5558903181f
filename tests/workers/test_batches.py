"""Batches whose runs workers execute: their lines, their budget, and what a second start pays."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import Desk
from tests.support.model_server import Hang, Held, ModelServer, Reply
from tests.support.nursery import Forked, Nursery
from tests.support.worker_machine import WorkerMachine

_OWN = ("run_id", "seconds", "layers")
"""What differs between two executions of a run."""


class BatchMachine(WorkerMachine):
    """Workers, and a folder with the questions of a batch."""

    @property
    def desk(self) -> Desk:
        return Desk(self.folder, self.models)

    def batch(self, file: str, *arguments: str) -> tuple[str, ...]:
        return ("batch", "one", file, "-o", str(self.desk.out), "--submit", "--yes", *arguments)

    def done(self, file: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(*self.batch(file, *arguments))


@pytest.fixture
def team(nursery: Nursery, tmp_path: Path, database: str) -> Iterator[BatchMachine]:
    with ModelServer() as models:
        team = BatchMachine(nursery, models, tmp_path, database)
        team.desk.configure()
        models.script("*", Reply("Yes."))
        yield team


def ended(worker: Forked) -> None:
    worker.terminate()
    assert worker.wait(10) == 0


def comparable(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name not in _OWN} for line in lines]


def test_a_batch_on_workers_writes_the_same_lines_as_one_in_its_own_process(team: BatchMachine) -> None:
    file = team.desk.ask("Why?", {"id": "q2", "question": "How?"}, {"id": 3, "question": "When?", "seed": 7})
    here = team.desk.done(file)
    team.desk.out.unlink()
    with team.worker() as worker:
        done = team.done(file, "--concurrency", "2")
        ended(worker)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert comparable(team.desk.lines) == comparable(here)
    assert [line["run_id"] for line in team.desk.lines] == [line["run_id"] for line in here]
    assert set(team.desk.asked.values()) == {2}


def test_the_budget_of_a_batch_holds_for_its_runs_on_workers_in_all_starts(team: BatchMachine) -> None:
    team.models.script("*", Reply("Yes.", usage={"completion_tokens": 100}))
    file = team.desk.ask(*(f"Question {number}?" for number in range(6)))
    with team.worker() as worker:
        first = team.done(file, "--max-cost", "0.25")
        asked, statuses = team.desk.asked.total(), Counter(line["status"] for line in team.desk.lines)
        second = team.done(file, "--max-cost", "0.45")
        ended(worker)
    assert (first.returncode, second.returncode) == (1, 1)
    assert (asked, statuses) == (2, {"complete": 2, "not_started": 4})
    assert Counter(line["status"] for line in team.desk.lines) == {"complete": 4, "not_started": 2}
    assert set(team.desk.asked.values()) == {1}


def test_a_batch_that_is_interrupted_goes_on_at_its_workers_and_the_next_start_reads_the_answers(
    team: BatchMachine,
) -> None:
    file = team.desk.ask("Why?", "How?", "When?")
    team.models.script("*", Hang())
    with team.worker() as first:
        with team.start(*team.batch(file, "--concurrency", "2")) as batch:
            team.waits(lambda seen: len(seen) == 2)
            batch.send_signal(signal.SIGINT)
            _, said = batch.communicate()
            assert batch.wait(10) == 130
        first.kill()
        first.wait(10)
    assert "Workers finish the runs that they have" in said
    team.models.clear()
    team.models.script("*", Reply("Yes."))
    with team.worker() as second:
        team.models.wait_for(lambda seen: len(seen) == 2 and all(each.finished for each in seen), 60)
        done = team.done(file)
        ended(second)
    assert done.returncode == 0, done.stderr
    assert [line["answer"] for line in team.desk.lines] == ["Yes."] * 3
    assert team.desk.asked == Counter(["Why?", "How?", "When?"])


def test_a_failed_run_is_tried_again_on_a_worker_with_the_budget_of_the_new_start(team: BatchMachine) -> None:
    file = team.desk.ask("Why?")
    with team.worker() as worker:
        first = team.done(file, "--max-cost", "0.05")
        assert json.loads(team.desk.out.read_text())["status"] == "not_started"
        item = team.desk.ask({"question": "Why?", "max_cost_usd": 0.05})
        refused = team.done(item)
        assert [line["reason"] for line in team.desk.lines] == ["budget"]
        done = team.done(team.desk.ask({"question": "Why?", "max_cost_usd": 0.5}))
        ended(worker)
    assert (first.returncode, refused.returncode, done.returncode) == (1, 1, 0), done.stderr
    assert [line["status"] for line in team.desk.lines] == ["complete"]


def test_without_a_database_a_batch_can_not_be_submitted(team: BatchMachine) -> None:
    done = team.nursery.run(
        *team.desk.options, *team.batch(team.desk.ask("Why?")), environ={"HOME": "/", "MOA_MCP_ENV_FILE": "none"}
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "Add --journal postgresql://USER:PASSWORD@HOST/DATABASE.",
    )


def test_two_processes_do_not_execute_one_batch_if_one_of_them_has_a_budget(team: BatchMachine) -> None:
    team.models.script("*", Held())
    file = team.desk.ask("Why?")
    other = ("--max-cost", "0.5", "-o", str(team.folder / "other.jsonl"))
    with team.worker() as worker, team.start(*team.batch(file, "--max-cost", "0.5")) as first:
        team.waits(lambda seen: len(seen) == 1)
        refused = team.done(file, *other)
        with team.start(*team.batch(file, "-o", str(team.folder / "third.jsonl"))) as third:
            team.models.release()
            third.communicate()
            first.communicate()
            assert [first.wait(10), third.wait(10)] == [0, 0]
        again = team.done(file, *other)
        ended(worker)
    assert "another process executes this batch, and they can't share --max-cost" in refused.stderr
    assert (refused.returncode, again.returncode) == (1, 0), again.stderr
    assert team.models.requests[1:] == ()
