"""The disk fills up while a process drives a run: what is asked then, and what becomes of what was answered."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lives import CALLS, POOL, WIDTH, Machine, answered, sent
from tests.support.model_server import ModelServer
from tests.support.nursery import Nursery

LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes}))
"""
"""No file may grow beyond it, as with a quota; what would is refused."""
UNASKED = "No model is called if calls can't be recorded; --journal none runs without a journal"


def asked_until_full(machine: Machine, prelude: str = "") -> str:
    """Ask until there is no more room; hold the ledger to what is on record, and return what was said."""
    machine.answers(CALLS)
    done = machine.run("ask", POOL, "Why?", "-q", prelude=prelude)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def goes_on(machine: Machine) -> None:
    """Go on where there is room again; what is on record is used, and nothing was asked that is not."""
    first = machine.asked
    _, events = machine.look()
    known = answered(events)
    assert first - sent(events) == {}
    assert (first - known).total() <= WIDTH
    machine.answers_all()
    done = machine.run("runs", "resume", "last", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.asked & known == {}
    assert (machine.asked + known).total() == CALLS
    assert machine.trace.status == "complete"


@pytest.mark.parametrize("kilobytes", [180, 220])  # fewer leave a slow machine no call: it writes more pages
def test_when_a_quota_is_used_up_no_call_goes_out_that_is_not_on_record_and_what_is_on_record_is_used(
    machine: Machine, kilobytes: int
) -> None:
    said = asked_until_full(machine, LIMITED.format(bytes=kilobytes * 1000))
    assert f"the journal {machine.path} can't be used" in said
    assert UNASKED in said
    assert "Answers that were not stored are requested and paid again. Run moa-mcp runs resume" in said
    assert 0 < machine.asked.total() < CALLS
    goes_on(machine)


def test_where_not_even_a_runs_beginning_can_be_recorded_nothing_is_asked_and_without_a_journal_all_is(
    machine: Machine,
) -> None:
    full = LIMITED.format(bytes=4096)
    refused = machine.run("ask", POOL, "Why?", "-q", prelude=full)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--journal" in refused.stderr
    assert machine.asked.total() == 0
    without = machine.run("ask", POOL, "Why?", "-q", "--journal", "none", prelude=full)
    assert (without.returncode, without.stderr) == (0, "")
    assert machine.asked.total() == CALLS


@pytest.fixture
def small(nursery: Nursery, tmp_path: Path) -> Iterator[Machine]:
    """A machine whose disk holds a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        with ModelServer() as models:
            yield Machine(nursery, models, folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_when_the_disk_is_full_what_is_on_record_is_used_once_there_is_room(small: Machine) -> None:
    other = small.folder / "other"
    space = os.statvfs(small.folder)
    other.write_bytes(b"x" * (space.f_bavail * space.f_frsize - 200_000))
    assert "make room on the disk" in asked_until_full(small)
    other.unlink()
    goes_on(small)
