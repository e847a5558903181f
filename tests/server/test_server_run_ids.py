"""The tools on runs take an ID, the start of one that names a single run, or `last`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp import Client

from moa_mcp.config import load
from moa_mcp.journal import RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.server.app import App
from tests.support.serving import content, text

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    journal = MemoryJournal()
    for run_id in ("abcd01", "abcd02"):
        await journal.begin(RunRecord(run_id, "vote", '{"simulated": true}', "running", "Why?", 1.0, 1.0))
        await journal.finish(run_id, "failed")
    async with Client(App(load(), offline=True, journal=journal).server, read_timeout_seconds=10) as client:
        yield client


async def asked(client: Client) -> str:
    run_id: str = content(await client.call_tool("vote", {"question": "What is 2 + 2?", "seed": 7}))["run_id"]
    return run_id


@pytest.mark.parametrize(
    ("tool", "arguments"), [("moa_trace", {}), ("moa_wait", {}), ("moa_fork", {"step": 2}), ("moa_cancel", {})]
)
async def test_the_start_of_an_id_names_its_run(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    run_id = await asked(client)
    result = content(await client.call_tool(tool, {"run_id": run_id[:8], **arguments}))
    if tool == "moa_fork":
        trace = content(await client.call_tool("moa_trace", {"run_id": result["run_id"]}))
        assert trace["forked_from"] == run_id
    else:
        assert result["run_id"] == run_id


@pytest.mark.parametrize(("tool", "arguments"), [("moa_trace", {}), ("moa_wait", {}), ("moa_fork", {"step": 2})])
async def test_last_is_the_newest_run(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    run_id = await asked(client)
    result = await client.call_tool(tool, {"run_id": "last", **arguments})
    assert (f"run {run_id}" if tool == "moa_fork" else run_id) in text(result)
    assert not result.is_error


async def test_a_complete_run_can_be_named_by_its_start_to_be_told_that_it_can_not_be_resumed(client: Client) -> None:
    run_id = await asked(client)
    assert text(await client.call_tool("moa_resume", {"run_id": run_id[:8]})).startswith(f"run {run_id} is complete")


async def test_only_a_run_that_is_named_is_cancelled(client: Client) -> None:
    await asked(client)
    result = await client.call_tool("moa_cancel", {"run_id": "last"})
    assert result.is_error
    assert text(result) == "run_id must be the ID of a run: the last run may belong to another client"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("abcd", "'abcd' matches 2 runs: abcd02, abcd01; use more characters of the ID"),
        ("abc", "there is no run 'abc' in the journal; did you mean 'abcd02'?"),
        ("abcd03", "there is no run 'abcd03' in the journal; did you mean 'abcd0"),
        ("1", "there is no run '1' in the journal"),
    ],
)
@pytest.mark.parametrize("tool", ["moa_trace", "moa_wait", "moa_resume", "moa_cancel"])
async def test_a_start_that_names_no_single_run_is_answered_with_those_that_it_may_mean(
    client: Client, tool: str, given: str, told: str
) -> None:
    result = await client.call_tool(tool, {"run_id": given})
    assert result.is_error
    assert text(result).startswith(told)
