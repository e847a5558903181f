"""What benchmarks take for a disturbance, from CPU time that this machine really spent."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from benchmarks.quiet import (
    MOST_OTHERS,
    Round,
    Sample,
    disturbed,
    mark,
    others,
    sample,
    undisturbed,
    until_quiet,
    verdict,
)

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="only Linux counts CPU time in /proc")  # noqa: PTH110

SPIN = "import time\nwhile time.process_time() < 0.4: pass\nprint(flush=True)\ninput()"


def spun() -> tuple[float, float, Sample, Sample, Sample, Sample]:
    """Let a child spend 0.4 s of CPU time; sample this process's tree and, beside it, one that the child is not in."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as sleeping:
        mine, its = sample(), sample(sleeping.pid)
        began = time.perf_counter()
        with subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as spinning:
            assert spinning.stdout is not None
            spinning.stdout.readline()
            mine_after, its_after = sample(), sample(sleeping.pid)
            took = time.perf_counter() - began
            spinning.communicate(b"\n")
        sleeping.communicate(b"\n")
    assert mine is not None
    assert its is not None
    assert mine_after is not None
    assert its_after is not None
    return took, 0.4 / took, mine, mine_after, its, its_after


def test_the_cpu_time_of_a_busy_process_counts_as_foreign_unless_it_is_a_descendant() -> None:
    took, used, mine, mine_after, its, its_after = spun()
    as_own, as_foreign = others(mine, mine_after), others(its, its_after)
    assert as_foreign - as_own == pytest.approx(used, abs=0.1 * used + 0.1 / took)
    assert as_foreign > MOST_OTHERS


def test_a_process_that_has_ended_still_counts_as_own() -> None:
    before = sample()
    spin = SPIN.replace("0.4", "0.42")  # the system counts in hundredths of a second, user and system time each
    subprocess.run([sys.executable, "-c", spin], input=b"\n", stdout=subprocess.DEVNULL, check=True)
    after = sample()
    assert before
    assert after
    assert after.own - before.own >= 0.4


def test_what_a_hypervisor_takes_is_a_disturbance() -> None:
    assert others(Sample(0, 10, 1, 3), Sample(2, 12, 2, 5)) == pytest.approx(0.5, abs=0.02)


def test_a_round_is_disturbed_if_others_use_much_of_a_cpu() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as sleeping:
        with Round(sleeping.pid) as each:
            subprocess.run([sys.executable, "-c", SPIN], input=b"\n", stdout=subprocess.DEVNULL, check=True)
        sleeping.communicate(b"\n")
    assert each.disturbed


def of(*used: float) -> list[tuple[int, Round]]:
    """Return measurements, numbered, of rounds in which others used so many CPUs."""
    rounds = [Round() for _ in used]
    for each, cpus in zip(rounds, used, strict=True):
        each.others = cpus
    return [*enumerate(rounds)]


def test_a_round_is_repeated_until_it_is_quiet_but_not_for_ever() -> None:
    def tried(*used: float) -> int:
        rounds = 0
        for each, cpus in zip(until_quiet(3), used, strict=False):
            each.others = cpus
            rounds += 1
        return rounds

    assert [tried(0.0), tried(1.0, 0.05), tried(1.0, 1.0, 1.0)] == [1, 2, 3]


def test_only_undisturbed_rounds_count_if_there_are_any() -> None:
    assert undisturbed(of(0.9, 0.0, 0.01)) == [1, 2]
    assert undisturbed(of(0.9, 0.8)) == [0, 1]


def test_a_result_says_that_other_work_disturbed_it() -> None:
    some, all_ = ([each for _, each in of(*used)] for used in ((0.9, 0.0), (0.9, 0.8)))
    assert (mark(some), disturbed(some)) == ("1 of 2 rounds, up to 0.9 CPUs", False)
    assert (mark(all_), disturbed(all_)) == ("2 of 2 rounds, up to 0.9 CPUs", True)
    assert mark([each for _, each in of(0.0)]) == "no"


def test_a_disturbed_result_exceeds_no_limit_but_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict([], ["moa-mcp, 64 runs at once"]) == 0
    assert "not judged: moa-mcp, 64 runs at once" in capsys.readouterr().out
    assert verdict(["wall time"], []) == 1
    assert "Limits exceeded: wall time" in capsys.readouterr().err
