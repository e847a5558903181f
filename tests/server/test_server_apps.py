"""The MCP App of a run: which clients see it, and how its page finds the run of its call and follows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError

from moa_mcp.config import load, shipped
from moa_mcp.server.apps import EXTENSION, MIME_TYPE, URI
from tests.support.model_server import Hang, ModelServer
from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess, content, parameters, text

pytestmark = pytest.mark.anyio
pytest_plugins = ("tests.support.connections",)

APPS = (advertise(EXTENSION, {"mimeTypes": [MIME_TYPE]}),)
CHARACTERS = 4
"""Of one token."""
MOST_TOKENS = 5400
MOST_SHOWN_TOKENS = 2500
QUESTION = {"question": "What is 17 * 23?", "seed": 279}
SOON = "import moa_mcp.server.views as views; views.NEWS_S = 0.2"
"""A prelude with which a question waits only shortly for news."""
CONFIG = """
models.a.routes = [{ model = "openai/a", api_base = "URL" }]
pipelines.one.steps = [{ step = "propose", agents = ["a"] }]
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def app_client(request: pytest.FixtureRequest, peer: Callable[[], Any]) -> AsyncIterator[Client]:
    async with Client(peer(), mode=request.param, read_timeout_seconds=10, cache=None, extensions=APPS) as client:
        yield client


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def config(models: ModelServer, tmp_path: Path) -> str:
    path = tmp_path / "pipelines.toml"
    path.write_text(CONFIG.replace("URL", models.url))
    return str(path)


@pytest.fixture
def hashing(config: str) -> str:
    """A configuration whose journal stores hashes in place of texts."""
    path = Path(config)
    path.write_text(f'{path.read_text()}\njournal.record = "hashes"\n')
    return config


def tools_of(listed: types.ListToolsResult) -> dict[str, dict[str, Any]]:
    return {tool.name: tool.meta or {} for tool in listed.tools}


async def test_a_client_that_renders_apps_learns_which_calls_show_a_run(app_client: Client) -> None:
    tools = tools_of(await app_client.list_tools())
    shows = {name for name, meta in tools.items() if meta.get("ui", {}).get("resourceUri") == URI}
    listed = {name for name, pipeline in load(shipped()).pipelines.items() if pipeline.listed}
    assert shows == {*listed, "moa_resume", "moa_fork", "moa_trace"}
    assert {name for name, meta in tools.items() if meta.get("ui/resourceUri") == URI} == shows
    assert tools["moa_view"] == {"ui": {"visibility": ["app"]}}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_other_clients_of_the_same_server_see_nothing_of_the_app(
    app_client: Client, http: ServerProcess, mode: Literal["auto", "legacy"]
) -> None:
    await app_client.list_tools()
    async with Client(http.url, mode=mode, read_timeout_seconds=10, cache=None) as other:
        tools = tools_of(await other.list_tools())
        resources = (await other.list_resources()).resources
    assert "moa_view" not in tools
    assert not [name for name, meta in tools.items() if "ui" in meta or "ui/resourceUri" in meta]
    assert URI not in {str(each.uri) for each in resources}


async def test_the_page_is_an_app_that_loads_nothing(app_client: Client) -> None:
    (listed,) = (each for each in (await app_client.list_resources()).resources if str(each.uri) == URI)
    (page,) = (await app_client.read_resource(URI)).contents
    assert isinstance(page, types.TextResourceContents)
    assert (page.mime_type, listed.mime_type) == (MIME_TYPE, MIME_TYPE)
    assert page.meta == listed.meta == {"ui": {"csp": {}, "prefersBorder": True}}
    assert page.text.startswith("<!doctype html>")
    assert "Content-Security-Policy" not in page.text
    assert len(page.text.encode()) < 60_000


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_tools_of_an_app_leave_a_models_context_to_the_conversation(mode: str, nursery: Nursery) -> None:
    server = parameters("--config", str(shipped()), nursery=nursery, OPENROUTER_API_KEY="x")
    async with Client(server, mode=mode, read_timeout_seconds=20, cache=None, extensions=APPS) as client:
        listed = await client.list_tools()
    models = listed.model_copy(update={"tools": [tool for tool in listed.tools if tool.name != "moa_view"]})
    shown = models.model_dump_json(
        by_alias=True, include={"tools": {"__all__": {"name", "description", "input_schema"}}}
    )
    assert len(listed.model_dump_json(by_alias=True, exclude_none=True)) / CHARACTERS <= MOST_TOKENS
    assert len(shown) / CHARACTERS <= MOST_SHOWN_TOKENS


async def test_a_page_finds_the_run_of_its_call_and_follows_it_to_its_end(app_client: Client) -> None:
    call = {**QUESTION, "wait_s": 0}
    started = await app_client.call_tool("self_moa", call)
    seen = [content(await app_client.call_tool("moa_view", {"tool": "self_moa", "arguments": call}))]
    with anyio.fail_after(20):
        while not seen[-1]["done"]:
            follows = {"run_id": seen[0]["run_id"], "mark": seen[-1]["mark"]}
            seen.append(content(await app_client.call_tool("moa_view", follows)))
    assert seen[0]["run_id"] == content(started)["run_id"]
    assert [each["from"] for each in seen] == [0, *(each["mark"] for each in seen[:-1])]
    prompts = [
        call["messages"] for each in seen for step in each["steps"] for call in step["calls"] if "messages" in call
    ]
    assert (
        len(prompts)
        == content(await app_client.call_tool("moa_trace", {"run_id": seen[0]["run_id"]}))["estimate"]["calls"]
    )
    assert seen[-1]["run"]["status"] == "complete"


async def test_a_page_that_comes_late_gets_the_whole_run(app_client: Client) -> None:
    run = content(await app_client.call_tool("vote", QUESTION))
    news = content(await app_client.call_tool("moa_view", {"run_id": run["run_id"]}))
    assert (news["run_id"], news["done"], news["run"]["cost_usd"]) == (run["run_id"], True, run["cost_usd"])
    again = content(await app_client.call_tool("moa_view", {"run_id": run["run_id"], "mark": news["mark"]}))
    assert (again["steps"], again["texts"]) == ([], [])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"run_id": "0123456789abcdef"}, "there is no run '0123456789abcdef' in the journal"),
        ({}, "run_id is missing, or arguments of the call that started the run"),
        ({"run_id": "a", "mark": -1}, "mark must"),
        ({"run_id": "a", "mark": "many"}, "mark must"),
    ],
)
async def test_a_page_that_asks_for_no_run_is_told_why(app_client: Client, given: dict[str, Any], problem: str) -> None:
    result = await app_client.call_tool("moa_view", given)
    assert result.is_error
    assert problem in text(result)


async def test_a_page_finds_no_run_of_another_session_of_other_arguments_or_of_an_earlier_call(
    nursery: Nursery,
) -> None:
    with ServerProcess("--http", "--port", "0", *OFFLINE, nursery=nursery, prelude=SOON) as server:
        mine = Client(server.url, mode="legacy", read_timeout_seconds=10, extensions=APPS)
        other = Client(server.url, mode="legacy", read_timeout_seconds=10, extensions=APPS)
        async with mine, other:
            call = {**QUESTION, "wait_s": 0}
            run = content(await mine.call_tool("together_moa", call))
            about = {"tool": "together_moa", "arguments": call}
            assert content(await other.call_tool("moa_view", about)) == {"run_id": None}
            assert content(await mine.call_tool("moa_view", about))["run_id"] == run["run_id"]
            changed = {**about, "arguments": {**call, "seed": 1}}
            assert content(await mine.call_tool("moa_view", changed)) == {"run_id": None}
            await mine.call_tool("moa_cancel", {"run_id": run["run_id"]})
            assert content(await mine.call_tool("moa_view", about)) == {"run_id": None}


async def test_a_page_follows_a_run_of_another_process(
    models: ModelServer, config: str, nursery: Nursery, tmp_path: Path
) -> None:
    journal = str(tmp_path / "journal.sqlite")
    models.script("a", Hang())
    server = ("--config", config, "--journal", journal)
    with ServerProcess("--http", "--port", "0", *server, nursery=nursery) as driving:
        async with (
            Client(driving.url, read_timeout_seconds=10) as client,
            Client(parameters(*server, nursery=nursery), read_timeout_seconds=10, extensions=APPS) as watching,
        ):
            run = content(await client.call_tool("one", {"question": "Why?", "wait_s": 0}))
            await anyio.to_thread.run_sync(models.wait_for, bool)
            news = content(await watching.call_tool("moa_view", {"run_id": run["run_id"]}))
            assert (news["done"], news["run"]["status"]) == (False, "running")
            await client.call_tool("moa_cancel", {"run_id": run["run_id"]})
            with anyio.fail_after(10):
                while not news["done"]:
                    mark = {"run_id": run["run_id"], "mark": news["mark"]}
                    news = content(await watching.call_tool("moa_view", mark))
            assert news["run"]["status"] == "cancelled"


async def test_a_page_shows_the_texts_of_a_run_whose_journal_stores_none(
    hashing: str, tmp_path: Path, nursery: Nursery
) -> None:
    server = parameters("--config", hashing, "--journal", str(tmp_path / "journal.sqlite"), nursery=nursery)
    async with Client(server, read_timeout_seconds=20, extensions=APPS) as client:
        run = content(await client.call_tool("one", {"question": "Why?"}))
        news = content(await client.call_tool("moa_view", {"run_id": run["run_id"]}))
        later = content(await client.call_tool("moa_view", {"run_id": "last", "mark": news["mark"]}))
    assert (news["run"]["question"]["text"], news["run"]["answer"]) == ("Why?", "answer 1 from a")
    assert (later["run_id"], later["from"], later["steps"]) == (run["run_id"], news["mark"], [])


@pytest.mark.parametrize(("journal", "named"), [("none", False), ("journal.sqlite", True)])
async def test_the_text_names_the_command_that_shows_a_stored_run(
    journal: str, named: bool, tmp_path: Path, nursery: Nursery
) -> None:
    path = journal if journal == "none" else str(tmp_path / journal)
    async with Client(parameters("--journal", path, *OFFLINE, nursery=nursery), read_timeout_seconds=20) as client:
        result = await client.call_tool("vote", QUESTION)
    assert (f"; details: moa-mcp view {content(result)['run_id']}]" in text(result)) == named


async def test_a_page_that_does_not_exist_is_not_found(app_client: Client) -> None:
    with pytest.raises(MCPError, match="Resource not found: ui://moa/other"):
        await app_client.read_resource("ui://moa/other")
