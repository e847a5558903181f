"""The files of a running server change: what new runs use then, what clients are told, and what stays as it is."""

from __future__ import annotations

import os
import pty
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.support.lives import until
from tests.support.model_server import Held, ModelServer
from tests.support.nursery import Nursery
from tests.support.serving import ServerProcess, content, parameters, text
from tests.support.tables import steps

pytestmark = pytest.mark.anyio

HTTP = ("--http", "--port", "0")
QUICK = "from moa_mcp.server import reloading; reloading.LOOK_S = reloading.SETTLED_S = 0.05"
"""A prelude with which a server looks at its files often."""
ASK = {"question": "Why?"}
READ = "was read again"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def tables(url: str, *pipelines: str, more: str = "") -> str:
    """Return a configuration with these pipelines, all with one model at a server."""
    step = '{ step = "propose", agents = ["m"] }'
    model = f'[models.m]\nroutes = [{{ model = "openai/m", api_base = "{url}", api_key_env = "TEAM_API_KEY" }}]'
    return "\n".join([model, *(f"[pipelines.{name}]\n{steps(step)}" for name in pipelines), more, ""])


@dataclass(frozen=True)
class Folder:
    """A configuration and a file with keys, as an operator edits them."""

    path: Path
    models: ModelServer
    nursery: Nursery

    @property
    def config(self) -> Path:
        return self.path / "pipelines.toml"

    @property
    def keys(self) -> Path:
        return self.path / "keys.env"

    def pipelines(self, *names: str, more: str = "") -> None:
        self.config.write_text(tables(self.models.url, *names, more=more), "utf-8")

    def key(self, *lines: str) -> None:
        self.keys.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        self.keys.chmod(0o600)

    @property
    def options(self) -> tuple[str, ...]:
        return ("--config", str(self.config), "--journal", str(self.path / "journal.sqlite"))

    def serve(self, *arguments: str, prelude: str = QUICK) -> ServerProcess:
        keys = {"MOA_MCP_ENV_FILE": str(self.keys)}
        return ServerProcess(*self.options, *arguments, nursery=self.nursery, prelude=prelude, **keys)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, nursery: Nursery) -> Iterator[Folder]:
    with ModelServer() as models:
        folder = Folder(tmp_path, models, nursery)
        folder.pipelines("first")
        folder.key("TEAM_API_KEY=old-key-of-the-team")
        yield folder


def is_up(url: str) -> bool:
    try:
        return httpx2.get(httpx2.URL(url).join("/health"), timeout=5).status_code == 200
    except httpx2.ConnectError:
        return False


def log(server: ServerProcess) -> str:
    return "".join(server.stderr)


def wait_for(server: ServerProcess, words: str) -> str:
    """Return the line of the log with these words, when it is there."""
    server.wait_for(lambda: words in log(server))
    return next(line for line in server.stderr if words in line)


def tool_names(listed: types.ListToolsResult) -> set[str]:
    return {tool.name for tool in listed.tools if not tool.name.startswith("moa_")}


Era = Literal["legacy", "auto"]


@asynccontextmanager
async def told(peer: Any, era: Era) -> AsyncIterator[tuple[Client, anyio.Event]]:
    """Connect the official client, with an event that is set when it is told that the tools have changed."""
    changed = anyio.Event()

    async def hear(message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            changed.set()

    async def listen(client: Client, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with client.listen(tools_list_changed=True) as changes:
            task_status.started()
            async for _ in changes:
                changed.set()

    async with (
        Client(peer, mode=era, read_timeout_seconds=20, message_handler=hear) as client,
        anyio.create_task_group() as tasks,
    ):
        tools = client.server_capabilities.tools if client.server_capabilities else None
        assert tools == types.ToolsCapability(list_changed=True)
        if era == "auto":
            await tasks.start(listen, client)
        yield client, changed
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize("transport", ["stdio", "http", "sse"])
async def test_a_client_is_told_of_a_new_tool_and_can_call_it(folder: Folder, transport: str, era: Era) -> None:
    async def gets_it(peer: Any) -> None:
        async with told(peer, era) as (client, changed):
            assert tool_names(await client.list_tools()) == {"first"}
            folder.pipelines("first", "second")
            with anyio.fail_after(20):
                await changed.wait()
            assert tool_names(await client.list_tools()) == {"first", "second"}
            assert not (await client.call_tool("second", ASK)).is_error

    if transport == "stdio":
        await gets_it(_quick_stdio(folder))
        return
    with folder.serve(f"--{transport}", "--port", "0") as server:
        await gets_it(server.url if transport == "http" else _sse(server.url))
        assert f"{folder.config} was read again: pipelines: added second\n" in log(server)


def _sse(url: str) -> Any:
    from mcp.client.sse import sse_client  # noqa: PLC0415

    return sse_client(url)


def _quick_stdio(folder: Folder) -> Any:
    """Return a peer that starts a server over stdio, which looks at its files often."""
    start = parameters(*folder.options, MOA_MCP_ENV_FILE=str(folder.keys))
    code = f"{QUICK}; import sys; from moa_mcp.__main__ import main; sys.argv[0] = 'moa-mcp'; main()"
    return stdio_client(StdioServerParameters(command=start.command, args=["-c", code, *start.args[2:]], env=start.env))


async def test_what_does_not_change_the_tools_is_used_and_told_to_nobody(folder: Folder) -> None:
    with folder.serve(*HTTP) as server:
        async with told(server.url, "auto") as (client, changed):
            folder.pipelines("first", more="[limits]\nconcurrency = 7\n[journal]\nretention_mb = 9\nresume = 'auto'")
            line = await anyio.to_thread.run_sync(wait_for, server, READ)
            assert not (await client.call_tool("first", ASK)).is_error
        assert not changed.is_set()
    assert line.endswith(
        ": limits.concurrency = 7; journal.resume = auto (at the next start); journal.retention_mb = 9\n"
    )


async def test_a_broken_file_keeps_the_old_configuration_and_says_which_line(folder: Folder) -> None:
    with folder.serve(*HTTP) as server:
        async with told(server.url, "legacy") as (client, changed):
            folder.pipelines("first", "second", more="[limits]\nconcurrency = 0")
            line = await anyio.to_thread.run_sync(wait_for, server, "was not changed")
            assert f"{folder.config}: line 8: limits.concurrency: " in line
            assert tool_names(await client.list_tools()) == {"first"}
            folder.config.write_text("[limits\n", "utf-8")
            await anyio.to_thread.run_sync(wait_for, server, "(at line 1, column 8)")
            folder.config.unlink()
            await anyio.to_thread.run_sync(wait_for, server, "no such file")
            assert not (await client.call_tool("first", ASK)).is_error
            assert not changed.is_set()
            folder.pipelines("third")
            with anyio.fail_after(20):
                await changed.wait()
            assert tool_names(await client.list_tools()) == {"third"}


def test_a_burst_of_writes_is_read_when_it_is_over(folder: Folder) -> None:
    slow = "from moa_mcp.server import reloading; reloading.LOOK_S, reloading.SETTLED_S = 0.05, 1.0"
    with folder.serve(*HTTP, prelude=slow) as server:
        assert server.url
        for number in range(200):
            folder.pipelines("first", f"number_{number}")
        wait_for(server, READ)
    assert log(server).count(READ) == 1
    assert "added number_199\n" in log(server)


async def test_a_run_under_way_keeps_its_configuration(folder: Folder) -> None:
    folder.models.script("m", Held())
    with folder.serve(*HTTP) as server:
        async with Client(server.url, read_timeout_seconds=20) as client:
            run = content(await client.call_tool("first", {**ASK, "wait_s": 0}))["run_id"]
            await anyio.to_thread.run_sync(folder.models.wait_for, lambda seen: len(seen) == 1)
            text_of = tables("http://127.0.0.1:9/v1", "second", more="[limits]\nattempts = 1\n[budget]\n")
            folder.config.write_text(f"{text_of}max_cost_usd_per_server = 5\n", "utf-8")
            await anyio.to_thread.run_sync(wait_for, server, READ)
            refused = await client.call_tool("second", ASK)
            folder.models.release()
            done = content(await client.call_tool("moa_wait", {"run_id": run}))
    assert refused.is_error
    assert (done["status"], done["pipeline"]) == ("complete", "first")


async def test_new_calls_use_a_key_that_changed_in_the_file_and_the_old_one_stays_masked(folder: Folder) -> None:
    with folder.serve(*HTTP) as server:
        async with Client(server.url, read_timeout_seconds=20) as client:
            await client.call_tool("first", ASK)
            folder.key("TEAM_API_KEY=new-key-of-the-team", "OPENAI_API_KEY=another")
            line = await anyio.to_thread.run_sync(wait_for, server, READ)
            await client.call_tool("first", {"question": "Again?"})
            folder.key("OPENAI_API_KEY=another")
            await anyio.to_thread.run_sync(server.wait_for, lambda: log(server).count(READ) == 2)
            lacking = text(await client.call_tool("first", ASK))
    assert line.endswith(": keys: OPENAI_API_KEY, TEAM_API_KEY\n")
    assert [each.headers["authorization"] for each in folder.models.requests] == [
        "Bearer old-key-of-the-team",
        "Bearer new-key-of-the-team",
    ]
    assert "TEAM_API_KEY" in lacking
    assert "key-of-the-team" not in log(server)


def test_a_file_of_keys_that_others_can_read_or_with_errors_changes_nothing(folder: Folder) -> None:
    with folder.serve(*HTTP) as server:
        assert server.url
        folder.keys.chmod(0o644)
        assert "mode 0644" in wait_for(server, "the keys were not changed")
        folder.key("TEAM_API_KEY=new-key-of-the-team", "what is this")
        assert "line 2" in wait_for(server, "not NAME=value")
        assert READ not in log(server)


def test_on_sighup_the_files_are_read_at_once(folder: Folder) -> None:
    with folder.serve(*HTTP, prelude="") as server:
        until(lambda: is_up(server.url))
        server.signal(signal.SIGHUP)
        wait_for(server, f"{READ}: nothing has changed")
        folder.pipelines("second")
        server.signal(signal.SIGHUP)
        wait_for(server, f"{READ}: pipelines: added second, removed first")


def test_a_server_at_a_terminal_ends_with_it(folder: Folder, nursery: Nursery) -> None:
    ours, theirs = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "HOME": os.devnull}
    process = nursery.start(*folder.options, "serve", *HTTP, environ=environ, terminal=theirs)
    os.close(theirs)
    with process, os.fdopen(ours, "rb", closefd=False) as screen:
        url = re.findall(r"http://\S+", screen.readline().decode())[0]
        until(lambda: is_up(url))
        process.send_signal(signal.SIGHUP)
        assert b"was read again" in screen.readline()
        screen.close()
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) != 0


async def test_a_key_in_the_environment_is_not_replaced_by_that_in_the_file(folder: Folder) -> None:
    with ServerProcess(
        *folder.options,
        *HTTP,
        nursery=folder.nursery,
        prelude=QUICK,
        TEAM_API_KEY="key-in-the-environment",
        MOA_MCP_ENV_FILE=str(folder.keys),
    ) as server:
        await anyio.to_thread.run_sync(lambda: server.url)
        folder.key("TEAM_API_KEY=new-key-of-the-team")
        folder.pipelines("second")
        async with Client(server.url, read_timeout_seconds=20) as client:
            await anyio.to_thread.run_sync(wait_for, server, READ)
            await client.call_tool("second", ASK)
    (request,) = folder.models.requests
    assert request.headers["authorization"] == "Bearer key-in-the-environment"
    assert "keys:" not in log(server)
