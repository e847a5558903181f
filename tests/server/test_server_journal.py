from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.test_cli import served
from tests.support.lives import called
from tests.support.model_server import ModelServer, Reply, Status
from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess

ASK = {"question": "What is 17 * 23?"}


def test_a_server_that_runs_nothing_leaves_no_journal(nursery: Nursery, tmp_path: Path) -> None:
    journal = tmp_path / "runs" / "journal.sqlite"
    with ServerProcess("--journal", str(journal), *OFFLINE, nursery=nursery) as server:
        server.initialize()
        assert server.ask(1, "tools/list")["result"]["tools"]
        assert server.ask(2, "resources/list")["result"]["resources"]
    assert not journal.parent.exists()


def test_a_run_is_found_by_the_next_server(nursery: Nursery, tmp_path: Path) -> None:
    here = ("--journal", str(tmp_path / "journal.sqlite"), *OFFLINE)
    with ServerProcess(*here, nursery=nursery) as server:
        server.initialize()
        ended = called(server, 1, "vote", **ASK)
    with ServerProcess(*here, nursery=nursery) as server:
        server.initialize()
        assert called(server, 1, "moa_wait", run_id=ended["run_id"]) == ended
        uris = [each["uri"] for each in server.ask(2, "resources/list")["result"]["resources"]]
    assert f"moa://runs/{ended['run_id']}" in uris


def test_a_journal_that_cannot_be_used_lets_no_run_start_and_says_what_helps(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    journal = str(tmp_path / "file" / "journal.sqlite")
    with ServerProcess("--journal", journal, *OFFLINE, nursery=nursery) as server:
        server.initialize()
        result = server.ask(1, "tools/call", name="vote", arguments=ASK)["result"]
    assert result["isError"]
    assert "--journal none" in result["content"][0]["text"]
    assert "run_id" not in str(result)


def test_a_fork_pays_only_for_what_follows_the_change(nursery: Nursery, tmp_path: Path) -> None:
    with ServerProcess("--journal", str(tmp_path / "journal.sqlite"), *OFFLINE, nursery=nursery) as server:
        server.initialize()
        run_id = called(server, 1, "vote", **ASK)["run_id"]
        forked = called(server, 2, "moa_fork", run_id=run_id, step=2, changes=["agent=claude-sonnet-4-5"])
        calls = called(server, 3, "moa_trace", run_id=forked["run_id"])
        given: list[dict[str, Any]] = [{"step": 3}, {"step": 2, "changes": ["agnet=x"]}, {"step": 2, "changes": {}}]
        wrong = [
            server.ask(number, "tools/call", name="moa_fork", arguments={"run_id": run_id, **arguments})["result"]
            for number, arguments in enumerate(given, 4)
        ]
    assert (forked["status"], forked["run_id"] != run_id) == ("complete", True)
    assert [layer["models"] for layer in forked["layers"]][1] == ["claude-sonnet-4-5"]
    assert calls["forked_from"] == run_id
    told = [each["content"][0]["text"] for each in wrong]
    assert told[0] == f"step 3 does not exist: run {run_id} has 2 steps"
    assert told[1].startswith("2.agnet: unknown key, did you mean 'agent'?")
    assert told[2] == 'Invalid arguments: changes must be a list of strings, such as ["agent=gpt-5-nano"]'


def test_a_run_of_which_only_hashes_are_kept_is_gone_on_with_by_its_own_process_alone(
    nursery: Nursery, tmp_path: Path
) -> None:
    path = tmp_path / "journal.sqlite"
    with ModelServer() as models:
        models.script("last", Status(400, "no"), Reply("So."))
        config = Path(
            served(models, tmp_path, '{step="propose", agents=["first"]}', '{step="aggregate", agent="last"}')
        )
        config.write_text(f'{config.read_text("utf-8")}\n[journal]\nrecord = "hashes"\n', "utf-8")
        here = ("--config", str(config), "--journal", str(path))
        with ServerProcess(*here, nursery=nursery) as server:
            server.initialize()
            failed = server.ask(1, "tools/call", name="one", arguments={"question": "a walrus question"})["result"]
            run_id = failed["structuredContent"]["run_id"]
            resumed = called(server, 2, "moa_resume", run_id=run_id)
            forked = called(server, 3, "moa_fork", run_id=run_id, step=2)
        asked = [each.model for each in models.requests]
        with ServerProcess(*here, nursery=nursery) as server:
            server.initialize()
            refused = server.ask(1, "tools/call", name="moa_fork", arguments={"run_id": run_id, "step": 2})["result"]
    assert "to repeat only the failed calls, moa_resume" in failed["content"][0]["text"]
    assert (resumed["status"], resumed["answer"], forked["answer"]) == ("complete", "So.", "So.")
    assert asked == ["first", "last", "last", "last"]
    assert "only the process that started it can resume it" in refused["content"][0]["text"]
    assert b"walrus" not in b"".join(each.read_bytes() for each in tmp_path.glob("journal.sqlite*"))
