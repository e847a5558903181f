"""The commands of the guide for a backup in PostgreSQL while runs are active, and what a restore brings back."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.database import Cluster, programs, rows
from tests.support.lives import CALLS, QUESTION, answered, begun, called
from tests.support.model_server import ModelServer
from tests.support.nursery import Nursery
from tests.support.worker_machine import WorkerMachine

GUIDE = Path(__file__).parents[2] / "docs" / "operating.md"
ADDRESS = "postgresql://moa@database/moa"


@pytest.fixture
def team(nursery: Nursery, tmp_path: Path, database: str) -> Iterator[WorkerMachine]:
    with ModelServer() as models:
        yield WorkerMachine(nursery, models, tmp_path, database)


def as_in_the_guide(program: str, database: str, folder: Path) -> None:
    """Execute the command of the guide that begins with a program, with the address of a database."""
    (command,) = re.findall(rf"^{program} .*$", GUIDE.read_text("utf-8"), re.MULTILINE)
    found = programs()
    assert found is not None
    first, *rest = shlex.split(command.replace(ADDRESS, database))
    done = subprocess.run([found / first, *rest], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("where", ["a fresh server", "the same database"])
def test_runs_of_a_backup_go_on_where_they_were_and_pay_only_what_came_after_it(
    team: WorkerMachine, tmp_path: Path, cluster: Cluster, where: str
) -> None:
    team.answers(9)
    with team.server() as server, team.worker("--concurrency", "1") as worker:
        run_id = begun(server)
        team.settles(9)
        queued = called(server, 2, "vote", **QUESTION, wait_s=0)["run_id"]
        known = answered(team.look_at(run_id)[1])
        as_in_the_guide("pg_dump", team.database, tmp_path)
        worker.kill()
        team.answers_all()
    with Cluster() as fresh:
        database = fresh.url("postgres") if where == "a fresh server" else team.database
        as_in_the_guide("pg_restore", database, tmp_path)
        again = replace(team, database=database)
        assert sorted(rows(database, "SELECT run_id, status FROM moa.runs")) == sorted(
            [(run_id, "running"), (queued, "queued")]
        )
        with again.server() as server, again.worker() as worker:
            server.initialize()
            ended = [
                called(server, number, "moa_wait", run_id=each, wait_s=30)
                for number, each in ((1, run_id), (2, queued))
            ]
            worker.terminate()
            worker.wait(10)
        asked = again.asked
        record, events = again.look_at(run_id)
    assert [each["status"] for each in ended] == ["complete"] * 2
    assert asked & known == Counter()
    assert sum(answered(events).values()) == CALLS
    assert record.status == "complete"
