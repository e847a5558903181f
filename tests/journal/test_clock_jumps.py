"""The wall clock is set by an hour while a run goes on, or the machine slept for as long."""

from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

from tests.support.lives import CALLS, Machine, answered, assert_whole, begun, called, until

HOUR = 3600.0
CLOCK = """
import time
from pathlib import Path
from moa_mcp.runs import leases
real, set_by = time.time, Path({path!r})
time.time = lambda: real() + float(set_by.read_text())
leases.RENEW_S = {renew_s}
"""


@pytest.mark.parametrize("jump_s", [HOUR, -HOUR])
def test_a_clock_that_jumps_neither_gives_a_run_a_second_driver_nor_keeps_it_from_whoever_finds_it_left(
    machine: Machine, jump_s: float
) -> None:
    clock = machine.folder / "clock"
    clock.write_text("0")
    prelude = CLOCK.format(path=str(clock), renew_s=2.0)
    machine.answers(9)
    with machine.serve(prelude=prelude) as owner:
        run_id = begun(owner)
        machine.settles(9)
        before = machine.asked
        clock.write_text(str(jump_s))
        refused = machine.run("runs", "resume", "last", prelude=prelude)
        assert refused.returncode == 2
        assert "is active in another process" in refused.stderr
        until(lambda: abs(machine.select("SELECT lease_until FROM runs")[0][0] - time.time() - jump_s) < HOUR / 2)
        assert called(owner, 2, "moa_wait", run_id=run_id, wait_s=0)["status"] == "running"
        assert machine.asked == before

        owner.signal(signal.SIGKILL)
        owner.ended()
    known = answered(machine.look()[1])
    machine.answers_all()
    done = machine.run("runs", "resume", "last", "-q", prelude=prelude)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.asked & known == Counter()
    assert machine.asked.total() == CALLS - 9
    assert_whole(machine.trace)
