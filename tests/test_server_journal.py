from __future__ import annotations

from pathlib import Path

from tests.lives import called
from tests.nursery import Nursery
from tests.serving import OFFLINE, ServerProcess

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


def test_a_journal_that_cannot_be_used_fails_the_run_and_says_what_helps(nursery: Nursery, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    journal = str(tmp_path / "file" / "journal.sqlite")
    with ServerProcess("--journal", journal, *OFFLINE, nursery=nursery) as server:
        server.initialize()
        result = server.ask(1, "tools/call", name="vote", arguments=ASK)["result"]
    assert result["isError"]
    assert result["structuredContent"]["layers"] == []
    assert "--journal none" in result["structuredContent"]["error"]
