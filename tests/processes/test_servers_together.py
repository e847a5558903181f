"""Two servers on one journal: each with runs of its own, both asked for the same one, and one that is gone."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.support.lives import CALLS, POOL, QUESTION, WIDTH, Machine, answered, assert_whole, begun, called
from tests.support.serving import ServerProcess


def test_two_servers_on_one_journal_drive_runs_of_their_own_at_once_and_each_tells_of_the_others(
    machine: Machine,
) -> None:
    with machine.serve() as here, machine.serve() as there:
        for server in (here, there):
            server.initialize()
            ask = {"name": POOL, "arguments": {**QUESTION, "wait_s": 20}}
            server.send(id=1, method="tools/call", params=ask)
        both = [server.answer(1)["result"]["structuredContent"] for server in (here, there)]
        other = [
            called(server, 2, "moa_wait", run_id=run["run_id"]) for server, run in ((there, both[0]), (here, both[1]))
        ]
    assert [run["status"] for run in both] == ["complete"] * 2
    assert other == both
    assert machine.asked.total() == 2 * CALLS
    assert len({run["run_id"] for run in both}) == 2


def test_a_run_that_one_server_drives_another_waits_for_and_takes_up_when_the_first_is_killed(
    machine: Machine,
) -> None:
    machine.answers(9)
    with machine.serve() as owner, machine.serve() as rival:
        run_id = begun(owner)
        rival.initialize()
        machine.settles(9)
        before = machine.asked
        seen = called(rival, 1, "moa_wait", run_id=run_id, wait_s=0)
        refused = rival.ask(2, "tools/call", name="moa_resume", arguments={"run_id": run_id})["result"]
        assert (seen["status"], refused["isError"]) == ("running", True)
        assert "is active in another process" in refused["content"][0]["text"]
        assert machine.asked == before

        known = answered(machine.look()[1])
        wait = {"name": "moa_wait", "arguments": {"run_id": run_id, "wait_s": 20}}
        rival.send(id=3, method="tools/call", params=wait)
        machine.answers_all()
        owner.signal(signal.SIGKILL)
        owner.ended()
        taken = rival.answer(3)["result"]["structuredContent"]
    assert taken["status"] == "complete"
    assert machine.asked & known == Counter()
    assert machine.asked.total() == CALLS - 9
    assert_whole(machine.trace)


def left_after_nine(machine: Machine, server: ServerProcess) -> tuple[str, Counter[str]]:
    """Begin a run at a server that is killed once nine calls are answered; return its id and what those asked."""
    run_id = begun(server)
    machine.settles(9)
    server.signal(signal.SIGKILL)
    server.ended()
    return run_id, answered(machine.look()[1])


def test_of_two_servers_that_are_asked_for_an_interrupted_run_at_once_one_drives_it(machine: Machine) -> None:
    machine.answers(9)
    with machine.serve() as first, machine.serve() as here, machine.serve() as there:
        run_id, known = left_after_nine(machine, first)
        for server in (here, there):
            server.initialize()
        machine.models.clear()
        for server in (here, there):
            wait = {"name": "moa_wait", "arguments": {"run_id": run_id, "wait_s": 0}}
            server.send(id=1, method="tools/call", params=wait)
        said = [server.answer(1)["result"] for server in (here, there)]
        machine.waits(lambda seen: len(seen) == 2 * WIDTH - 9)
        assert [result["structuredContent"]["status"] for result in said] == ["running", "running"]
        assert machine.asked & known == Counter()
    assert machine.asked.total() == 2 * WIDTH - 9


@pytest.mark.parametrize("waiting", ["at one server", "at two servers"])
def test_all_who_wait_for_an_interrupted_run_at_once_get_its_end(machine: Machine, waiting: str) -> None:
    machine.answers(9)
    with machine.serve() as first, machine.serve() as here, machine.serve() as there:
        run_id, known = left_after_nine(machine, first)
        for server in (here, there):
            server.initialize()
        machine.answers_all()
        numbers = range(1, 7)
        servers = [here, there if waiting == "at two servers" else here] * 3
        for number, server in zip(numbers, servers, strict=True):
            wait = {"name": "moa_wait", "arguments": {"run_id": run_id, "wait_s": 20}}
            server.send(id=number, method="tools/call", params=wait)
        said = [server.answer(number)["result"] for number, server in zip(numbers, servers, strict=True)]
    assert [result.get("structuredContent", result)["status"] for result in said] == ["complete"] * 6
    assert machine.asked & known == Counter()
    assert machine.asked.total() == CALLS - 9
    assert_whole(machine.trace)
