"""A journal is copied while a server writes to it, and a restored copy goes on."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.lives import CALLS, Machine, begun, called
from tests.support.serving import ServerProcess


def restored(machine: Machine, copy: Path) -> ServerProcess:
    """Serve from the copy, as after a restore."""
    config = str(machine.folder / "pipelines.toml")
    return ServerProcess("--config", config, "--journal", str(copy), nursery=machine.nursery)


def test_a_backup_of_a_journal_in_use_is_resumed_and_only_later_answers_are_asked_again(machine: Machine) -> None:
    copy = machine.folder / "backup.sqlite"
    machine.answers(8)
    with machine.serve() as server:
        run_id = begun(server)
        machine.settles(8)
        done = machine.run("runs", "backup", str(copy))
        assert (done.returncode, done.stdout, done.stderr) == (0, f"Copied 1 run to {copy}.\n", "")
    machine.answers_all()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with restored(machine, copy) as server:
        server.initialize()
        result = called(server, 1, "moa_wait", run_id=run_id, wait_s=20)
    assert result["status"] == "complete"
    assert machine.asked.total() == CALLS - 8
    assert [path.name for path in machine.folder.glob("backup.sqlite.*")] == []


def test_a_backup_that_exists_is_not_replaced(machine: Machine) -> None:
    _one_run(machine)
    copy = machine.folder / "backup.sqlite"
    copy.write_text("precious", "utf-8")
    done = machine.run("runs", "backup", str(copy))
    assert (done.returncode, "exists already" in done.stderr) == (2, True)
    assert copy.read_text("utf-8") == "precious"


def _missing_folder(machine: Machine) -> str:
    return str(machine.folder / "none" / "backup.sqlite")


def _in_folder(machine: Machine) -> str:
    return str(machine.folder / "backup.sqlite")


@pytest.mark.parametrize(
    ("journal", "target", "said"),
    [
        (None, _missing_folder, "can't be written: No such file"),
        ("none", _in_folder, "does not store runs"),
        ("postgresql://db/moa", _in_folder, "pg_dump"),
        ("absent.sqlite", _in_folder, "there are no runs yet"),
    ],
)
def test_what_can_not_be_copied_is_said_with_the_remedy(
    machine: Machine, journal: str | None, target: Callable[[Machine], str], said: str
) -> None:
    _one_run(machine)
    done = machine.run("runs", "backup", target(machine), *(["--journal", journal] if journal else []))
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_damaged_journal_is_not_taken_for_a_backup(machine: Machine) -> None:
    _one_run(machine)
    whole = machine.path.read_bytes()
    machine.path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    copy = machine.folder / "backup.sqlite"
    done = machine.run("runs", "backup", str(copy))
    assert (done.returncode, "damaged" in done.stderr, copy.exists()) == (2, True, False)
    assert "Traceback" not in done.stderr


def _one_run(machine: Machine) -> None:
    machine.answers_all()
    assert machine.run("ask", "together_moa", "Why?", "-q").returncode == 0
