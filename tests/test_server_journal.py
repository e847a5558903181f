from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from mcp import Client

from tests.serving import OFFLINE, content, parameters

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_server_that_runs_nothing_leaves_no_journal(tmp_path: Path) -> None:
    journal = tmp_path / "runs" / "journal.sqlite"
    async with Client(parameters("--journal", str(journal), *OFFLINE)) as client:
        await client.list_tools()
        await client.list_resources()
    assert not await anyio.Path(journal.parent).exists()


async def test_a_run_is_found_by_the_next_server(tmp_path: Path) -> None:
    here = parameters("--journal", str(tmp_path / "journal.sqlite"), *OFFLINE)
    async with Client(here) as client:
        ended = content(await client.call_tool("vote", {"question": "What is 17 * 23?"}))
    async with Client(here) as client:
        assert content(await client.call_tool("moa_wait", {"run_id": ended["run_id"]})) == ended
        uris = [str(each.uri) for each in (await client.list_resources()).resources]
        assert f"moa://runs/{ended['run_id']}" in uris


async def test_a_journal_that_cannot_be_used_fails_the_run_and_says_what_helps(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    async with Client(parameters("--journal", str(tmp_path / "file" / "journal.sqlite"), *OFFLINE)) as client:
        result = await client.call_tool("vote", {"question": "What is 17 * 23?"})
    assert result.is_error
    assert content(result)["layers"] == []
    assert "--journal none" in content(result)["error"]
