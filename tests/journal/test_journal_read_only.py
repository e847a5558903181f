"""A journal that can't be written, as on a read-only mount or of somebody else: it is read, and nothing is changed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from moa_mcp.errors import JournalError
from moa_mcp.journal.spending import Commitment
from moa_mcp.journal.sqlite import SQLiteJournal
from tests.cli.test_cli import invoke
from tests.journal.test_journal_versions import VERSION_1
from tests.support.journals import record_of, went_out
from tests.support.lives import called
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE, OFFLINE, ServerProcess

NOBODY = """
import os
os.setgid(65534)
os.setuid(65534)
"""
ROOT = sys.platform == "linux" and os.geteuid() == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "a folder, 100% ours?"
        path.parent.chmod(0o755)
        path.mkdir()
        yield path


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """A disk of its own, which `frozen` makes read-only."""
    if not ROOT or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=False).returncode:
        pytest.skip("only root can mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def frozen(disk: Path) -> dict[str, bytes]:
    """Make a disk read-only, and return what is on it."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    return {each.name: each.read_bytes() for each in disk.iterdir()}


def asked(nursery: Nursery, path: Path) -> None:
    where = {"MOA_MCP_JOURNAL": str(path)}
    done = nursery.run("ask", "vote", "Why?", "--offline", "-q", environ=where, prelude=AT_ONCE)
    assert done.returncode == 0


def left(nursery: Nursery, path: Path) -> None:
    """Leave what a killed process leaves: its log, and an index of it."""
    with ServerProcess("--journal", str(path), *OFFLINE, nursery=nursery, prelude=AT_ONCE) as server:
        server.initialize()
        called(server, 1, "vote", question="Why?")
        server.signal(signal.SIGKILL)
        server.ended()
    assert path.with_name(f"{path.name}-wal").stat().st_size


def left_without_its_index(nursery: Nursery, path: Path) -> None:
    left(nursery, path)
    path.with_name(f"{path.name}-shm").unlink()


def copied(nursery: Nursery, path: Path) -> None:
    """Copy it as backups do."""
    asked(nursery, path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM INTO ?", (f"{path}.copy",))
    path.with_name(f"{path.name}.copy").replace(path)


async def takes_nothing(path: Path) -> None:
    """Hold a journal that can't be written to refusing whatever would be."""
    journal = SQLiteJournal(path, to_read=True)
    journal.append("r", went_out())
    for work in (
        journal.begin(record_of()),
        journal.keep("r", went_out()),
        journal.finish("r", "complete"),
        journal.release("r"),
        journal.claim("r"),
        journal.renew(("r",)),
        journal.cancel("r"),
        journal.commit_spending(Commitment("r", 1, None, day="2026-01-01")),
        journal.forget(older_than=1.0),
    ):
        with pytest.raises(JournalError, match="is read-only"):
            await work
    assert await journal.spending("2026-01-01") == 0
    await journal.close()


def test_nothing_is_written_to_what_can_only_be_read(nursery: Nursery, disk: Path) -> None:
    asked(nursery, disk / "journal.sqlite")
    before = frozen(disk)
    anyio.run(takes_nothing, disk / "journal.sqlite")
    assert {each.name: each.read_bytes() for each in disk.iterdir()} == before


@pytest.mark.parametrize("make", [asked, left, left_without_its_index, copied])
def test_the_runs_of_a_read_only_disk_are_listed_shown_and_exported_and_nothing_can_be_recorded(
    nursery: Nursery, disk: Path, make: object
) -> None:
    path = disk / "journal.sqlite"
    assert callable(make)
    make(nursery, path)
    before = frozen(disk)
    where = {"MOA_MCP_JOURNAL": str(path)}
    listed = invoke("runs", "list", "--json", **where)
    assert (listed.exit_code, listed.stderr) == (0, "")
    ((run_id, status),) = [(row["run_id"], row["status"]) for row in json.loads(listed.stdout)]
    assert status == "complete"
    shown, exported = invoke("runs", "show", run_id, **where), invoke("runs", "export", run_id, **where)
    assert (shown.exit_code, exported.exit_code) == (0, 0)
    assert json.loads(exported.stdout)["status"] == "complete"
    assert "Would delete 1 of 1 run" in invoke("runs", "gc", "--max-size", "1b", "--dry-run", **where).stdout
    for command in (
        ["ask", "vote", "Why?", "--offline"],
        ["runs", "fork", run_id, "--from", "2", "--offline"],
        ["runs", "resume", run_id, "--offline"],
        ["runs", "cancel", run_id],
        ["runs", "gc", "--older-than", "1s"],
    ):
        refused = invoke(*command, **where)
        assert refused.exit_code == 2, command
        assert refused.stderr.replace("\n", " ").count(f"the journal {path} is read-only") == 1, command
        assert "Traceback" not in refused.stderr
    assert {each.name: each.read_bytes() for each in disk.iterdir()} == before


def test_a_server_on_a_read_only_disk_tells_of_the_runs_there_and_says_why_it_asks_nothing(
    nursery: Nursery, disk: Path
) -> None:
    path = disk / "journal.sqlite"
    with ServerProcess("--journal", str(path), *OFFLINE, nursery=nursery) as server:
        run_id = called_vote(server)
    frozen(disk)
    with ServerProcess("--journal", str(path), *OFFLINE, nursery=nursery) as server:
        server.initialize()
        assert called(server, 1, "moa_wait", run_id=run_id)["status"] == "complete"
        assert called(server, 2, "moa_trace", run_id=run_id)["run_id"] == run_id
        uris = [each["uri"] for each in server.ask(3, "resources/list")["result"]["resources"]]
        asked = server.ask(4, "tools/call", name="vote", arguments={"question": "Why?"})["result"]
        forked = server.ask(5, "tools/call", name="moa_fork", arguments={"run_id": run_id, "step": 2})["result"]
        stderr = "\n".join(server.stderr)
    assert f"moa://runs/{run_id}" in uris
    for each in (asked, forked):
        assert each["isError"]
        assert f"the journal {path} is read-only" in each["content"][0]["text"]
    assert "Traceback" not in stderr


def called_vote(server: ServerProcess) -> str:
    server.initialize()
    run_id: str = called(server, 1, "vote", question="Why?")["run_id"]
    return run_id


def test_a_run_that_was_left_on_a_read_only_disk_is_shown_as_such_and_can_not_be_resumed(
    nursery: Nursery, disk: Path
) -> None:
    path = disk / "journal.sqlite"
    asked(nursery, path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE runs SET status = 'running', owner = NULL, parts = NULL")
    frozen(disk)
    where = {"MOA_MCP_JOURNAL": str(path)}
    (row,) = json.loads(invoke("runs", "list", "--json", **where).stdout)
    assert row["status"] == "interrupted"
    refused = invoke("runs", "resume", "last", "--offline", **where)
    assert refused.exit_code == 2
    assert f"the journal {path} is read-only" in refused.stderr.replace("\n", " ")


def test_a_file_of_an_earlier_version_on_a_read_only_disk_is_read_as_it_would_be_after_its_migration(
    disk: Path,
) -> None:
    path = disk / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{VERSION_1} UPDATE runs SET spec = '{{\"simulated\": true}}';")
    before = frozen(disk)
    listed = invoke("runs", "list", "--json", MOA_MCP_JOURNAL=str(path))
    assert listed.stderr == ""
    (row,) = json.loads(listed.stdout)
    assert row["run_id"] == "r"
    assert {each.name: each.read_bytes() for each in disk.iterdir()} == before


def _of_another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{VERSION_1} CREATE TABLE spending(a);")


def _flipped(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
    raw = bytearray(path.read_bytes())
    raw[100:2000] = b"\xff" * 1900
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("make", "said"),
    [(_of_another_version, "was created by another version of moa-mcp"), (_flipped, "can't be used: it is damaged")],
)
def test_a_file_on_a_read_only_disk_that_can_not_be_used_leaves_no_copy_behind(
    disk: Path, make: object, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = disk / "journal.sqlite"
    assert callable(make)
    make(path)
    frozen(disk)
    refused = invoke("runs", MOA_MCP_JOURNAL=str(path))
    assert refused.exit_code == 2
    assert f"{path} {said}" in refused.stderr.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not ROOT, reason="only root can be somebody else")
@pytest.mark.parametrize(
    ("make", "folder_mode", "file_mode"),
    [
        (asked, 0o755, 0o644),
        (asked, 0o777, 0o644),
        (left, 0o755, 0o644),
        (left, 0o777, 0o644),
        (left, 0o555, 0o666),
        (left, 0o755, 0o666),
        (left_without_its_index, 0o755, 0o644),
        (left_without_its_index, 0o555, 0o666),
    ],
)
def test_somebody_elses_journal_is_read_and_not_written(
    nursery: Nursery, folder: Path, make: object, folder_mode: int, file_mode: int
) -> None:
    path = folder / "journal.sqlite"
    assert callable(make)
    make(nursery, path)
    for each in folder.iterdir():
        each.chmod(file_mode)
    folder.chmod(folder_mode)
    listed = nursery.run("runs", "list", "--json", "--journal", str(path), environ={}, prelude=NOBODY)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [row["status"] for row in json.loads(listed.stdout)] == ["complete"]
    shown = nursery.run("runs", "show", "last", "--journal", str(path), environ={}, prelude=NOBODY)
    assert (shown.returncode, shown.stderr) == (0, "")
    if file_mode == 0o644:
        gone = nursery.run("runs", "gc", "--older-than", "1s", "--journal", str(path), environ={}, prelude=NOBODY)
        assert gone.returncode == 2
        assert f"the journal {path} is read-only" in gone.stderr.replace("\n", " ")


@pytest.mark.skipif(ROOT, reason="modes bind anybody but root")
@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o755, 0o444), (0o555, 0o644), (0o555, 0o444)])
def test_a_file_or_a_folder_that_may_not_be_written_is_read(
    nursery: Nursery, folder: Path, folder_mode: int, file_mode: int
) -> None:
    path = folder / "journal.sqlite"
    asked(nursery, path)
    path.chmod(file_mode)
    folder.chmod(folder_mode)
    listed = invoke("runs", "list", "--json", MOA_MCP_JOURNAL=str(path))
    refused = invoke("runs", "gc", "--older-than", "1s", MOA_MCP_JOURNAL=str(path))
    anyio.run(takes_nothing, path)
    folder.chmod(0o755)
    assert (listed.exit_code, refused.exit_code) == (0, 2)
    assert f"the journal {path} is read-only" in refused.stderr.replace("\n", " ")


@pytest.mark.skipif(not ROOT, reason="only root can be somebody else")
def test_a_journal_that_may_not_even_be_read_is_told_as_that(nursery: Nursery, folder: Path) -> None:
    path = folder / "journal.sqlite"
    asked(nursery, path)
    refused = nursery.run("runs", "--journal", str(path), environ={}, prelude=NOBODY)
    assert refused.returncode == 2
    assert f"the journal {path} can't be used: Permission denied" in refused.stderr.replace("\n", " ")


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _text(path: Path) -> None:
    path.write_text("a walrus is no journal\n" * 100)


def _others(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE walrus(a); INSERT INTO walrus VALUES('carpenter'); PRAGMA user_version = 3")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_folder, "it is a folder"),
        (_pipe, "it is not a regular file"),
        (_text, "file is not a database"),
        (_others, "is a SQLite database but not a journal of moa-mcp"),
    ],
    ids=["folder", "pipe", "text", "another database"],
)
@pytest.mark.parametrize(
    "command",
    [["runs"], ["runs", "show", "last"], ["runs", "gc", "--older-than", "1d"], ["ask", "vote", "Why?", "--offline"]],
    ids=lambda command: " ".join(command[:2]),
)
def test_what_is_no_journal_is_told_as_that_and_left_alone(
    tmp_path: Path, make: object, said: str, command: list[str]
) -> None:
    path = tmp_path / "journal.sqlite"
    assert callable(make)
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    refused = invoke(*command, MOA_MCP_JOURNAL=str(path))
    assert refused.exit_code == 2
    assert said in refused.stderr.replace("\n", " ")
    assert str(path) in refused.stderr.replace("\n", "")
    assert "Traceback" not in refused.stderr
    assert "walrus" not in refused.stderr
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert [each.name for each in tmp_path.iterdir()] == ["journal.sqlite"]
