"""The tools on runs take an ID, the start of one that names a single run, or `last`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from moa_mcp.config import load
from moa_mcp.errors import JournalError
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


async def test_a_run_that_waits_in_the_queue_is_awaited_and_not_executed() -> None:
    journal, spec = MemoryJournal(), json.dumps({"simulated": True, "spec": {"question": {"text": "Why?"}}})
    await journal.begin(RunRecord("waits", "vote", spec, "running", "Why?", 1.0, 1.0), queued=True)
    async with Client(App(load(), offline=True, journal=journal).server, read_timeout_seconds=10) as client:
        result = await client.call_tool("moa_wait", {"run_id": "waits", "wait_s": 0})
        assert (content(result)["status"], result.is_error) == ("queued", False)
        assert text(result).startswith("Queued: run waits has not started yet")
        cancelled = await client.call_tool("moa_cancel", {"run_id": "waits"})
        assert content(cancelled)["status"] == "cancelled"


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


class Unreadable(MemoryJournal):
    """Can't be read any longer."""

    async def records(self, **filters: object) -> tuple[RunRecord, ...]:
        raise JournalError(f"the disk is gone: {filters}")


RUN = types.ResourceTemplateReference(uri="moa://runs/{run_id}")


async def test_runs_are_completed_as_many_as_are_shown_and_said_to_be_more() -> None:
    journal = MemoryJournal()
    for number in range(600):
        await journal.begin(RunRecord(f"{number % 6}{number:05}", "vote", "{}", "running", "Why?", 1.0, 1.0))
    async with Client(App(load(), offline=True, journal=journal).server) as client:
        some = (await client.complete(RUN, {"name": "run_id", "value": "000"})).completion
        all_of = (await client.complete(RUN, {"name": "run_id", "value": "1"})).completion
        more = (await client.complete(RUN, {"name": "run_id", "value": ""})).completion
    assert (len(some.values), some.total, some.has_more) == (100, 100, False)
    assert (len(all_of.values), all_of.total, all_of.has_more) == (100, 100, False)
    assert (len(more.values), more.total, more.has_more) == (100, None, True)


async def test_a_listing_does_not_go_on_after_a_run_that_is_gone(client: Client) -> None:
    listed = [str(each.uri) for each in (await client.list_resources(cursor="moa://runs/abcd02")).resources]
    assert listed == ["moa://runs/abcd01"]
    with pytest.raises(MCPError, match="Invalid cursor"):
        await client.list_resources(cursor="moa://runs/gone")


async def test_a_journal_that_can_not_be_read_is_said_so_where_its_runs_are_listed() -> None:
    async with Client(App(load(), offline=True, journal=Unreadable()).server) as client:
        with pytest.raises(MCPError, match="the disk is gone"):
            await client.list_resources()
        with pytest.raises(MCPError, match="the disk is gone"):
            await client.complete(RUN, {"name": "run_id", "value": ""})
