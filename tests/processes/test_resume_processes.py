"""Processes that are killed, stopped or put to sleep while they drive a run over HTTP, and what others do with it."""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

from tests.support.lives import CALLS, WIDTH, Machine, answered, assert_whole, begun, called, until

DIES_WITH_THE_LAST_ANSWER = """
import os, signal
from moa_mcp.journal.sqlite import SQLiteJournal
keep = SQLiteJournal.keep
async def last(journal, run_id, event):
    await keep(journal, run_id, event)
    if event.kind == "attempt_finished" and event.place.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
SQLiteJournal.keep = last
"""
SHORT_LEASES = """
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import leases
leases.RENEW_S = 0.1
SQLiteJournal.__init__.__kwdefaults__["lease_s"] = 0.5
"""


def killed(machine: Machine, count: int, *, settled: bool) -> None:
    """Kill a server when so many calls of its run were answered, and recorded if it is settled."""
    with machine.serve(prelude=DIES_WITH_THE_LAST_ANSWER) as server:
        machine.answers(count)
        begun(server)
        if count < CALLS:
            machine.waits(lambda seen: sum(each.finished for each in seen) >= count)
            if settled:
                machine.settles(count)
            server.signal(signal.SIGKILL)
        assert server.ended() == -signal.SIGKILL
    record, _ = machine.look()
    assert (record.status, record.owned) == ("running", False)


def resumed(machine: Machine, prelude: str = "") -> Counter[str]:
    """Go on with the run in another process, where all models answer; return what was asked for it."""
    machine.answers_all()
    done = machine.run("runs", "resume", "last", "-q", prelude=prelude)
    assert (done.returncode, done.stderr) == (0, "")
    return machine.asked


@pytest.mark.parametrize("count", range(CALLS + 1))
def test_a_server_that_is_killed_after_any_answer_has_paid_for_nothing_in_vain(machine: Machine, count: int) -> None:
    killed(machine, count, settled=True)
    first, known = machine.asked, answered(machine.look()[1])
    second = resumed(machine)
    assert known.total() == count
    assert second & known == Counter()
    assert second.total() == CALLS - count
    assert (first | second).total() == CALLS
    assert_whole(machine.trace)


@pytest.mark.parametrize("count", [2, 9, 18])
def test_a_server_that_is_killed_while_answers_come_in_pays_again_for_those_on_their_way_alone(
    machine: Machine, count: int
) -> None:
    killed(machine, count, settled=False)
    first, known = machine.asked, answered(machine.look()[1])
    under_way = first - known
    second = resumed(machine)
    assert under_way.total() <= WIDTH
    assert second & known == Counter()
    assert first.total() + second.total() == CALLS + under_way.total()
    assert_whole(machine.trace)


@pytest.mark.parametrize("wait_s", [0, 5])
def test_a_server_that_slept_while_another_process_took_its_run_over_writes_nothing_and_tells_of_its_end(
    machine: Machine, wait_s: int
) -> None:
    with machine.serve(prelude=SHORT_LEASES) as sleeper:
        machine.answers(9)
        run_id = begun(sleeper)
        machine.settles(9)
        sleeper.signal(signal.SIGSTOP)
        until(lambda: bool(machine.select(f"SELECT 1 FROM runs WHERE lease_until < {time.time()}")))
        known = answered(machine.look()[1])
        second = resumed(machine, SHORT_LEASES)
        assert second & known == Counter()
        assert second.total() == CALLS - 9
        assert_whole(machine.trace)

        finished = machine.look()
        sleeper.signal(signal.SIGCONT)
        assert called(sleeper, 2, "moa_wait", run_id=run_id, wait_s=wait_s)["status"] == "complete"
        assert machine.look() == finished
        assert machine.asked == second
