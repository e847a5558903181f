"""Servers put runs into a queue and workers execute them: what a client sees, and what remains when processes die."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.lives import (
    CALLS,
    LAYERS,
    NAMES,
    POOL,
    QUESTION,
    WIDTH,
    answered,
    assert_whole,
    begun,
    called,
    until,
)
from tests.support.model_server import ModelServer, Reply
from tests.support.namespaces import elsewhere
from tests.support.nursery import Nursery
from tests.support.worker_machine import WorkerMachine

SHORT_LEASES = (
    "from moa_mcp.journal.postgres import PostgresJournal\n"
    "from moa_mcp.runs import leases\n"
    "PostgresJournal.__init__.__kwdefaults__['lease_s'], leases.RENEW_S = 2.0, 0.5"
)
"""A prelude with which a process on another machine counts as dead after two seconds."""
RUN = "from moa_mcp.__main__ import main; main()"


@pytest.fixture
def team(nursery: Nursery, tmp_path: Path, database: str) -> Iterator[WorkerMachine]:
    with ModelServer() as models:
        yield WorkerMachine(nursery, models, tmp_path, database)


def test_a_worker_executes_what_a_server_submits_and_the_client_sees_progress(
    team: WorkerMachine,
) -> None:
    for name in NAMES:  # slow enough that the client hears of each layer
        team.models.script(name, *[Reply("An answer.", delay_s=0.4)] * (LAYERS + 1))
    with team.worker() as worker, team.server() as server:
        server.initialize()
        arguments = {"name": POOL, "arguments": {**QUESTION, "wait_s": 30}, "_meta": {"progressToken": "p"}}
        server.send(id=1, method="tools/call", params=arguments)
        result = server.answer(1)["result"]["structuredContent"]
        worker.terminate()
        assert worker.wait(10) == 0
    assert result["status"] == "complete"
    assert [layer["answered"] for layer in result["layers"]] == [WIDTH, WIDTH, WIDTH, 1]
    assert team.asked.total() == CALLS
    assert sum("notifications/progress" in line for line in server.stdout) >= 3
    assert team.messages() == []


def test_a_worker_counts_what_it_executes_and_the_server_does_not_count_it_again(team: WorkerMachine) -> None:
    ended = f'moa_runs_ended_total{{pipeline="{POOL}",status="complete"}} 1.0'
    with team.worker("--metrics", "0") as worker, team.server("--metrics", "0") as server:
        url = next(line for line in worker.stderr if "metrics at" in line).split()[-1]
        run_id = begun(server)
        assert called(server, 2, "moa_wait", run_id=run_id, wait_s=30)["status"] == "complete"
        until(lambda: ended in urlopen(url).read().decode())
        ready = urlopen(url.replace("/metrics", "/ready")).status
        of_server = next(line for line in server.stderr if "metrics at" in line).split()[-1]
        counts = urlopen(of_server).read().decode()
        worker.terminate()
        worker.wait(10)
    assert ready == 200
    assert 'moa_journal_runs{status="queued"} 0.0' in counts
    assert POOL not in counts


def test_a_worker_reads_its_configuration_again_on_sighup(team: WorkerMachine) -> None:
    path = team.folder / "pipelines.toml"
    with team.server() as server, team.worker() as worker:
        assert called(server, 2, "moa_wait", run_id=begun(server), wait_s=30)["status"] == "complete"
        assert "executes 32 runs" in worker.stderr.readline()
        path.write_text(path.read_text().replace("attempts = 4", "attempts = 5"))
        worker.send_signal(signal.SIGHUP)
        assert "was read again: limits" in worker.stderr.readline()
        path.write_text("models = 1")
        worker.send_signal(signal.SIGHUP)
        assert "the configuration was not changed" in worker.stderr.readline()
        worker.terminate()
        assert worker.wait(10) == 0


def test_a_worker_gets_the_turns_of_the_run_that_a_queued_one_follows(team: WorkerMachine) -> None:
    with team.server() as server:
        with team.worker() as worker:
            first = begun(server)
            assert called(server, 2, "moa_wait", run_id=first, wait_s=30)["status"] == "complete"
            worker.terminate()
            worker.wait(10)
        asked = {"question": "And why?", "continue_run": first, "wait_s": 0}
        second = called(server, 3, POOL, **asked)["run_id"]
        assert called(server, 4, "moa_trace", run_id=second)["continues"] == first
        team.answers_all()
        with team.worker() as worker:
            ended = called(server, 5, "moa_wait", run_id=second, wait_s=30)
            worker.terminate()
            worker.wait(10)
    assert (ended["status"], ended["continues"]) == ("complete", first)
    turns = [[each["content"] for each in request.body["messages"][-3:]] for request in team.models.requests]
    assert all(QUESTION["question"] in first_turn for first_turn, _, _ in turns)
    assert {last for _, _, last in turns} == {"And why?"}


def test_a_run_waits_in_the_queue_until_there_is_a_worker_and_says_so(team: WorkerMachine) -> None:
    with team.server() as server:
        run_id = begun(server)
        waiting = called(server, 2, "moa_wait", run_id=run_id, wait_s=0)
        assert team.messages() == [(run_id, "todo")]
        with team.worker() as worker:
            ended = called(server, 3, "moa_wait", run_id=run_id, wait_s=30)
            worker.terminate()
            worker.wait(10)
    assert (waiting["status"], ended["status"]) == ("queued", "complete")


def test_another_worker_takes_over_the_run_of_a_killed_one_and_pays_nothing_again(
    team: WorkerMachine,
) -> None:
    team.answers(9)
    with team.server() as server, team.worker() as first:
        run_id = begun(server)
        team.settles(9)
        known = answered(team.look()[1])
        with team.worker() as second:
            first.kill()
            team.answers_all()
            ended = called(server, 2, "moa_wait", run_id=run_id, wait_s=30)
            second.terminate()
            second.wait(10)
    assert ended["status"] == "complete"
    assert team.asked & known == Counter()
    assert team.asked.total() == CALLS - 9
    assert_whole(team.trace)


@pytest.mark.skipif(not elsewhere(), reason="this system lets no process into a PID namespace of its own")
def test_a_worker_takes_over_the_run_of_a_killed_one_on_another_machine_when_its_lease_ends(
    team: WorkerMachine,
) -> None:
    team.answers(9)
    command = [*elsewhere(), sys.executable, "-c", f"{SHORT_LEASES}\n{RUN}", *team.options, "worker"]
    with team.server() as server, subprocess.Popen(command, stderr=subprocess.DEVNULL) as there:
        run_id = begun(server)
        team.settles(9)
        known = answered(team.look()[1])
        with team.worker(prelude=SHORT_LEASES) as here:
            there.kill()
            team.answers_all()
            ended = called(server, 2, "moa_wait", run_id=run_id, wait_s=30)
            here.terminate()
            here.wait(10)
    assert ended["status"] == "complete"
    assert team.asked & known == Counter()
    assert team.asked.total() == CALLS - 9


def test_a_run_goes_on_when_its_server_is_killed_and_another_server_returns_its_answer(team: WorkerMachine) -> None:
    with team.server() as here, team.server() as there, team.worker() as worker:
        run_id = begun(here)
        here.signal(signal.SIGKILL)
        here.ended()
        there.initialize()
        ended = called(there, 1, "moa_wait", run_id=run_id, wait_s=30)
        worker.terminate()
        worker.wait(10)
    assert (ended["status"], team.asked.total()) == ("complete", CALLS)


def test_a_worker_that_is_stopped_hands_its_run_over_after_the_drain(team: WorkerMachine) -> None:
    team.answers(9)
    with team.server() as server, team.worker("--drain", "0.2") as first:
        run_id = begun(server)
        team.settles(9)
        first.terminate()
        assert first.wait(10) == 0
        queued = called(server, 2, "moa_wait", run_id=run_id, wait_s=0)
        assert team.messages() == [(run_id, "todo")]
        known = answered(team.look()[1])
        team.answers_all()
        with team.worker() as second:
            ended = called(server, 3, "moa_wait", run_id=run_id, wait_s=30)
            second.terminate()
            second.wait(10)
    assert (queued["status"], ended["status"]) == ("queued", "complete")
    assert team.asked & known == Counter()


def test_a_run_is_cancelled_from_a_server_that_did_not_submit_it(team: WorkerMachine) -> None:
    team.answers(9)
    with team.server() as here, team.server() as there, team.worker() as worker:
        run_id = begun(here)
        team.settles(9)
        there.initialize()
        cancelled = called(there, 1, "moa_cancel", run_id=run_id)
        seen = called(here, 2, "moa_wait", run_id=run_id, wait_s=10)
        until(lambda: team.owners() == 0)
        worker.terminate()
        worker.wait(10)
    assert [cancelled["status"], seen["status"]] == ["cancelled"] * 2


def test_a_queued_run_is_cancelled_and_no_worker_starts_it(team: WorkerMachine) -> None:
    with team.server() as server:
        run_id = begun(server)
        assert called(server, 2, "moa_cancel", run_id=run_id)["status"] == "cancelled"
        with team.worker() as worker:
            until(lambda: team.messages() == [])
            worker.terminate()
            worker.wait(10)
    assert team.asked.total() == 0
    assert team.look()[0].status == "cancelled"


def test_a_cancelled_run_is_resumed_and_forked_through_the_queue(team: WorkerMachine) -> None:
    team.answers(9)
    with team.server() as server, team.worker() as worker:
        run_id = begun(server)
        team.settles(9)
        called(server, 2, "moa_cancel", run_id=run_id)
        team.answers_all()
        resumed = called(server, 3, "moa_resume", run_id=run_id, wait_s=30)
        assert team.asked.total() == CALLS - 9
        forked = called(server, 4, "moa_fork", run_id=run_id, step=4, wait_s=30)
        worker.terminate()
        worker.wait(10)
    assert [resumed["status"], forked["status"]] == ["complete"] * 2
    assert team.asked.total() == CALLS - 9 + 1


def test_a_run_that_no_worker_can_execute_fails_with_the_reason(team: WorkerMachine) -> None:
    with team.server() as server, team.start("worker", "--offline") as worker:
        run_id = begun(server)
        ended = called(server, 2, "moa_wait", run_id=run_id, wait_s=30)
        worker.terminate()
        worker.wait(10)
    assert ended["status"] == "failed"
    assert "used real models; remove --offline" in ended["error"]
    assert team.messages() == []


@pytest.mark.parametrize("command", [("worker",), ("serve", "--submit")])
def test_without_a_database_there_is_no_queue_and_the_error_says_what_to_add(
    team: WorkerMachine, command: tuple[str, ...]
) -> None:
    done = team.nursery.run(
        "--config", str(team.folder / "pipelines.toml"), "--journal", str(team.path), *command, environ={"HOME": "/"}
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"Error: the journal {team.path} has no queue: workers need a database",
        "Add --journal postgresql://USER:PASSWORD@HOST/DATABASE.",
    ]
