"""A journal of which the disk has lost a bit: the run that it was part of is told as damaged, and no other suffers."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.test_cli import invoke
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE, OFFLINE, ServerProcess

DAMAGES = [
    "UPDATE events SET body = replace(body, 'attempt_finished', 'attempt_fjnished') WHERE run_id = ?",
    "UPDATE events SET body = replace(body, '{', '[') WHERE run_id = ?",
    "UPDATE events SET body = replace(body, '\"place\":[1,', '\"place\":[7,') WHERE run_id = ?",
    (
        "UPDATE texts SET body = x'00', packed = 1 WHERE text_id IN "
        "(SELECT text_id FROM refs GROUP BY text_id HAVING count(*) = 1 AND max(run_id) = ?)"
    ),
]


@pytest.fixture(scope="module")
def whole(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound journal with two runs."""
    path = tmp_path_factory.mktemp("whole") / "runs.sqlite"
    for question in ("Does a walrus talk?", "Does a carpenter?"):
        where = {"MOA_MCP_JOURNAL": str(path)}
        asked = nursery.run("ask", "vote", question, "--offline", "-q", environ=where, prelude=AT_ONCE)
        assert asked.returncode == 0
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    """A journal of its own, with the same two runs."""
    return Path(shutil.copyfile(whole, tmp_path / "runs.sqlite"))


@pytest.fixture(params=DAMAGES, ids=["a kind", "no JSON", "a place", "a text"])
def damaged(request: pytest.FixtureRequest, path: Path) -> tuple[Path, str, str]:
    """A journal, and the ids of a run in it that is damaged and of one that is sound."""
    with closing(sqlite3.connect(path)) as db, db:
        (sound,), (lost,) = db.execute("SELECT run_id FROM runs ORDER BY created_at DESC")
        db.execute(request.param, (lost,))
        db.execute("UPDATE runs SET status = 'running', owner = NULL, lease_until = 0 WHERE run_id = ?", (lost,))
    return path, lost, sound


def test_the_command_line_tells_which_run_is_damaged_and_shows_the_others(damaged: tuple[Path, str, str]) -> None:
    path, lost, sound = damaged
    listed = invoke("runs", "list", "--json", MOA_MCP_JOURNAL=str(path))
    rows = {row["run_id"]: row for row in json.loads(listed.stdout)}
    assert listed.exit_code == 0
    assert listed.stderr.startswith(f"Error: the record of run {lost} can't be read: it is damaged")
    assert (rows[lost]["cost_usd"], rows[sound]["cost_usd"]) == (None, 0.0)
    for command in (["show"], ["export"], ["resume", "--offline"]):
        refused = invoke("runs", *command, lost, MOA_MCP_JOURNAL=str(path))
        assert refused.exit_code == 2
        assert refused.stderr.startswith(f"Error: the record of run {lost} can't be read: it is damaged")
    assert invoke("runs", "show", sound, MOA_MCP_JOURNAL=str(path)).exit_code == 0


def test_a_server_that_resumes_by_itself_goes_on_serving(
    nursery: Nursery, damaged: tuple[Path, str, str], tmp_path: Path
) -> None:
    path, lost, sound = damaged
    config = tmp_path / "pipelines.toml"
    whole = Path(OFFLINE[-1]).read_text("utf-8").replace("[journal]", '[journal]\nresume = "auto"', 1)
    config.write_text(whole, "utf-8")
    here = ("--offline", "--config", str(config), "--journal", str(path))
    with ServerProcess(*here, nursery=nursery) as server:
        server.initialize()
        told = [
            server.ask(number, "tools/call", name=tool, arguments={"run_id": lost})["result"]
            for number, tool in enumerate(("moa_wait", "moa_trace", "moa_resume"), 1)
        ]
        kept = server.ask(4, "tools/call", name="moa_trace", arguments={"run_id": sound})["result"]
        asked = server.ask(5, "tools/call", name="vote", arguments={"question": "And now?"})["result"]
    for each in told:
        assert each["isError"]
        assert f"run {lost} can't be read: it is damaged" in each["content"][0]["text"]
    assert not kept.get("isError")
    assert asked["structuredContent"]["status"] == "complete"


OF_A_RUN = [
    "UPDATE runs SET title = 'a walrus' WHERE run_id = ?",
    "UPDATE runs SET status = 'comqlete' WHERE run_id = ?",
    "UPDATE runs SET created_at = 'a walrus' WHERE run_id = ?",
    "UPDATE runs SET updated_at = 1e300 WHERE run_id = ?",
    "UPDATE runs SET spec = CAST(x'7b22ff61207761' AS TEXT) WHERE run_id = ?",
    "UPDATE runs SET lease_until = x'00' WHERE run_id = ?",
    "UPDATE events SET body = CAST(x'61ff2077616c727573' AS TEXT) WHERE run_id = ?",
    "DELETE FROM events WHERE run_id = ? AND seq % 2",
    "UPDATE events SET seq = -seq WHERE run_id = ?",
    "DELETE FROM refs WHERE run_id = ?",
    "UPDATE texts SET body = 'a walrus' WHERE text_id IN (SELECT text_id FROM refs WHERE run_id = ?)",
]


@pytest.mark.parametrize("damage", OF_A_RUN)
def test_whatever_is_lost_of_a_run_it_is_damaged_at_every_door_and_nothing_of_it_is_quoted(
    nursery: Nursery, path: Path, damage: str
) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        (sound,), (lost,) = db.execute("SELECT run_id FROM runs ORDER BY created_at DESC").fetchall()
        db.execute(damage, (lost,))
    listed = invoke("runs", "list", "--json", MOA_MCP_JOURNAL=str(path))
    assert listed.exit_code == 0
    assert f"run {lost} can't be read: it is damaged" in listed.stderr
    assert {row["run_id"] for row in json.loads(listed.stdout)} == {lost, sound}
    assert invoke("runs", "list", MOA_MCP_JOURNAL=str(path)).exit_code == 0
    for command in (["show"], ["show", "--full"], ["export"], ["resume", "--offline"]):
        refused = invoke("runs", *command, lost, MOA_MCP_JOURNAL=str(path))
        assert refused.exit_code == 2
        assert "damaged" in refused.stderr or "there is nothing to resume" in refused.stderr
        assert "walrus" not in refused.output
    with ServerProcess("--journal", str(path), *OFFLINE, nursery=nursery) as server:
        server.initialize()
        wait, trace = (
            server.ask(number, "tools/call", name=tool, arguments={"run_id": lost})["result"]
            for number, tool in enumerate(("moa_wait", "moa_trace"), 1)
        )
        resource = server.ask(3, "resources/read", uri=f"moa://runs/{lost}")["error"]
        uris = [each["uri"] for each in server.ask(4, "resources/list")["result"]["resources"]]
        stderr = "\n".join(server.stderr)
    for each in (wait["content"][0]["text"], trace["content"][0]["text"], resource["message"]):
        assert f"run {lost} can't be read: it is damaged" in each
    assert {f"moa://runs/{each}" for each in (lost, sound)} <= {*uris}
    assert "Traceback" not in stderr
    gone = invoke("runs", "gc", "--max-size", "1b", MOA_MCP_JOURNAL=str(path))
    assert "walrus" not in gone.output
    assert gone.exit_code == 0 or "damaged" in gone.stderr


LEFT = "Runs that are not damaged can still be shown"


def lose_page(path: Path, table: str) -> None:
    """Lose the first page of a table."""
    with closing(sqlite3.connect(path)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    raw = bytearray(path.read_bytes())
    raw[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(raw)


def test_a_damaged_page_fails_only_what_needs_it(path: Path) -> None:
    """What a server does at the same time goes into one transaction."""
    lose_page(path, "spending")
    for command in (["list"], ["show", "last"]):
        assert invoke("runs", *command, MOA_MCP_JOURNAL=str(path)).exit_code == 0
    refused = invoke("runs", "gc", "--older-than", "1s", MOA_MCP_JOURNAL=str(path))
    assert refused.exit_code == 2
    assert f"the journal {path} can't be used: it is damaged" in refused.stderr.replace("\n", " ")
    assert LEFT in refused.stderr.replace("\n", " ")


@pytest.mark.parametrize("command", [["list"], ["show", "last"], ["gc", "--older-than", "1s"]])
def test_where_no_run_can_be_shown_none_is_promised(path: Path, command: list[str]) -> None:
    lose_page(path, "runs")
    refused = invoke("runs", *command, MOA_MCP_JOURNAL=str(path))
    assert refused.exit_code == 2
    assert f"the journal {path} can't be used: it is damaged" in refused.stderr.replace("\n", " ")
    assert "can still be shown" not in refused.stderr.replace("\n", " ")


def test_of_a_file_that_can_not_be_opened_no_run_is_promised(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:100] + b"\xff" * (len(raw) - 100))
    refused = invoke("runs", MOA_MCP_JOURNAL=str(path))
    assert refused.exit_code == 2
    assert "it is damaged" in refused.stderr
    assert "can still be shown" not in refused.stderr.replace("\n", " ")
