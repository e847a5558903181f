"""Who ends a run, and how: impatient clients, users who abort, closed connections, signals."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
import pytest
from mcp import Client
from mcp.server.subscriptions import ResourcesListChanged
from mcp.shared.exceptions import MCPError

from moa_mcp.config import parse
from moa_mcp.journal import RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.server.app import App
from tests.support.model_server import Hang, ModelServer, Received, Reply
from tests.support.nursery import Nursery
from tests.support.serving import ServerProcess, content

pytestmark = pytest.mark.anyio

CONFIG = """
models.m.routes = [{ model = "openai/m", api_base = "URL" }]
pipelines.one.steps = [{ step = "propose", agents = ["m"] }]
"""
SLOW = f"""
models.m.routes = ["openai/m"]
pipelines.slow.steps = [{{ step = "propose", agents = ["m"] }}, {'{ step = "synthesize", agents = ["m"] },' * 100}]
"""
"""Simulated, it takes a quarter of a minute."""
QUESTION = {"question": "Is it going to rain?"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def models(serving: ModelServer) -> Iterator[ModelServer]:
    serving.clear()
    yield serving
    serving.script("m")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    path: Path = tmp_path_factory.mktemp("slow") / "pipelines.toml"
    path.write_text(SLOW)
    return ("--offline", "--config", str(path))


@pytest.fixture(scope="module")
def http(nursery: Nursery, slow: tuple[str, ...]) -> Iterator[str]:
    with ServerProcess("--http", "--port", "0", *slow, nursery=nursery) as server:
        yield server.url


@pytest.fixture(scope="module")
async def client(serving: ModelServer) -> AsyncIterator[Client]:
    """As over stdio, without the process."""
    config = parse(CONFIG.replace("URL", serving.url))
    async with Client(App(config).server, mode="legacy", read_timeout_seconds=20) as client:
        await client.call_tool("one", QUESTION)
        yield client


class Asking:
    """A call of a tool that can be given up, and the id of its run."""

    def __init__(self, client: Client, tool: str) -> None:
        self.scope = anyio.CancelScope()
        self.begun = anyio.Event()
        self.run_id = ""
        self._client = client
        self._tool = tool

    async def __call__(self, read_timeout_seconds: float | None = None) -> None:
        async def note(progress: float, total: float | None, message: str | None) -> None:
            found = re.search(r"\(run (\w+)\)", message or "")
            assert found is not None
            self.run_id = found[1]
            self.begun.set()

        with self.scope:
            await self._client.call_tool(self._tool, QUESTION, read_timeout_seconds, note)

    async def abort(self) -> None:
        """Begin, wait for the first sign of life, give up."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self)
            with anyio.fail_after(10):
                await self.begun.wait()
            self.scope.cancel()


async def waited(client: Client, run_id: str) -> dict[str, Any]:
    return content(await client.call_tool("moa_wait", {"run_id": run_id}))


async def happens(models: ModelServer, what: Callable[[tuple[Received, ...]], bool]) -> None:
    await anyio.to_thread.run_sync(models.wait_for, what)


async def test_a_client_that_runs_out_of_time_can_still_wait_for_the_answer(
    client: Client, models: ModelServer
) -> None:
    models.script("m", Reply("It is.", delay_s=0.5))
    asking = Asking(client, "one")
    with pytest.raises(MCPError) as timeout:
        await asking(read_timeout_seconds=0.1)
    ended = await waited(client, asking.run_id)
    assert timeout.value.code == types.REQUEST_TIMEOUT
    assert (ended["status"], ended["answer"]) == ("complete", "It is.")
    assert len(models.requests) == 1


async def test_a_user_who_aborts_ends_the_model_calls(client: Client, models: ModelServer) -> None:
    models.script("m", Hang())
    asking = Asking(client, "one")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asking)
        await happens(models, lambda requests: len(requests) == 1)
        asking.scope.cancel()
        await happens(models, lambda requests: requests[0].disconnected)
    assert (await waited(client, asking.run_id))["status"] == "cancelled"


class Slow(MemoryJournal):
    """Waits before it puts a run on record."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.free = anyio.Event(), anyio.Event()

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        self.asked.set()
        await self.free.wait()
        return await super().begin(record, queued=queued, max_runs=max_runs)


async def test_a_user_who_aborts_while_the_run_is_being_recorded_ends_it(models: ModelServer) -> None:
    models.script("m", Hang())
    journal = Slow()
    app = App(parse(CONFIG.replace("URL", models.url)), journal=journal)
    async with Client(app.server, mode="legacy", read_timeout_seconds=20) as client:
        asking = Asking(client, "one")
        async with journal.news("ended") as news, anyio.create_task_group() as tasks:
            tasks.start_soon(asking)
            await journal.asked.wait()
            asking.scope.cancel()
            await anyio.wait_all_tasks_blocked()
            journal.free.set()
            with anyio.fail_after(10):
                run_id = (await anext(news)).run_id
        assert (await waited(client, run_id))["status"] == "cancelled"


async def test_cancelling_a_run_ends_its_model_calls(client: Client, models: ModelServer) -> None:
    models.script("m", Hang())
    started = await client.call_tool("one", {**QUESTION, "wait_s": 0})
    await happens(models, lambda requests: len(requests) == 1)
    cancelled = await client.call_tool("moa_cancel", {"run_id": content(started)["run_id"]})
    await happens(models, lambda requests: requests[0].disconnected)
    assert content(cancelled)["status"] == "cancelled"


async def test_over_http_a_client_of_2025_that_runs_out_of_time_keeps_its_run(http: str) -> None:
    async with Client(http, mode="legacy", read_timeout_seconds=20) as client:
        asking = Asking(client, "slow")
        with pytest.raises(MCPError):
            await asking(read_timeout_seconds=0.5)
        still = await client.call_tool("moa_wait", {"run_id": asking.run_id, "wait_s": 0})
        await client.call_tool("moa_cancel", {"run_id": asking.run_id})
    assert content(still)["status"] == "running"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_over_http_a_user_who_aborts_ends_the_run(http: str, mode: str) -> None:
    async with Client(http, mode=mode, read_timeout_seconds=20) as client:
        asking = Asking(client, "slow")
        await asking.abort()
        assert (await waited(client, asking.run_id))["status"] == "cancelled"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_over_http_a_user_who_aborts_ends_no_run_but_their_own(http: str, mode: str) -> None:
    ours, theirs = (Client(http, mode=mode, read_timeout_seconds=20) for _ in range(2))
    async with ours, theirs, anyio.create_task_group() as tasks:
        kept = Asking(theirs, "slow")
        tasks.start_soon(kept)
        aborted = Asking(ours, "slow")
        await aborted.abort()
        assert (await waited(ours, aborted.run_id))["status"] == "cancelled"
        still = await theirs.call_tool("moa_wait", {"run_id": kept.run_id, "wait_s": 0})
        kept.scope.cancel()
        assert (await waited(ours, kept.run_id))["status"] == "cancelled"
    assert content(still)["status"] == "running"


async def test_a_signal_ends_an_http_server_although_somebody_listens_and_a_run_goes_on(
    nursery: Nursery, slow: tuple[str, ...]
) -> None:
    arguments = ("--http", "--port", "0", *slow)
    with ServerProcess(*arguments, nursery=nursery) as first, ServerProcess(*arguments, nursery=nursery) as second:
        for server, number, status in ((first, signal.SIGTERM, -signal.SIGTERM), (second, signal.SIGINT, 130)):
            connected = Client(server.url, read_timeout_seconds=20)
            async with connected as client, client.listen(resources_list_changed=True) as changes:
                await client.call_tool("slow", {**QUESTION, "wait_s": 0})
                server.signal(number)
                assert await anyio.to_thread.run_sync(server.ended) == status
                assert [change async for change in changes] == [ResourcesListChanged()]
