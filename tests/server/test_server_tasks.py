"""Runs as tasks (SEP-2663), for clients that take them: polled, cancelled, and going on when the server was killed."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter

from moa_mcp.config import parse
from moa_mcp.errors import JournalError
from moa_mcp.journal import Journal, Page, RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.server.app import App
from moa_mcp.server.tasks import EXTENSION, TaskParams
from tests.support import lives
from tests.support.model_server import Hang, ModelServer, Received, Reply, Status
from tests.support.nursery import Nursery
from tests.support.serving import ServerProcess, Wire, content, text

pytestmark = pytest.mark.anyio

CONFIG = """
models.a.routes = [{ model = "openai/a", api_base = "URL" }]
models.b.routes = [{ model = "openai/b", api_base = "URL" }]
models.c.routes = [{ model = "openai/c", api_base = "URL" }]
pipelines.two.steps = [{ step = "propose", agents = ["a", "b"] }, { step = "synthesize", agents = ["c"] }]
"""
QUESTION = {"question": "Is it going to rain?"}
VERSION = "2026-07-28"
ANYTHING: TypeAdapter[Any] = TypeAdapter(dict[str, Any])
POLLS = 200
PAUSE_S = 0.05
"""Between polls."""


class TaskHandle(types.Result):
    """What a call returns in place of its result."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class TaskRequest(types.Request[TaskParams, str]):
    name_param = "taskId"


class NamelessTaskRequest(types.Request[TaskParams, str]):
    """As clients send it that do not know of the header."""


class TakesTasks(ClientExtension):
    """A client's side of the extension."""

    identifier = EXTENSION

    def claims(self) -> tuple[ResultClaim[TaskHandle]]:
        return (ResultClaim(result_type="task", model=TaskHandle, resolve=self._resolve),)

    async def _resolve(self, handle: TaskHandle, context: ClaimContext) -> types.CallToolResult:
        ended = await polled(context.session, handle.task_id)
        return types.CallToolResult.model_validate(ended["result"])


async def asked(session: ClientSession, method: str, task_id: str) -> Wire:
    request = TaskRequest(method=method, params=TaskParams(task_id=task_id))
    task: Wire = await session.send_request(request, ANYTHING)
    return task


async def polled(session: ClientSession, task_id: str) -> Wire:
    for _ in range(POLLS):
        if (task := await asked(session, "tasks/get", task_id))["status"] != "working":
            return task
        await anyio.sleep(PAUSE_S)
    raise AssertionError(task)


async def begun(client: Client, tool: str = "two", **arguments: Any) -> str:
    """Call a tool without waiting for its answer; return the task's id."""
    handle = await client.session.call_tool(tool, arguments or QUESTION, allow_claimed=True)
    assert isinstance(handle, TaskHandle)
    assert handle.status == "working"
    return handle.task_id


@asynccontextmanager
async def taking_tasks(peer: Any) -> AsyncIterator[Client]:
    async with Client(peer, extensions=[TakesTasks()], read_timeout_seconds=10, cache=None) as client:
        yield client


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def models(serving: ModelServer) -> Iterator[ModelServer]:
    serving.clear()
    yield serving
    for model in "abc":
        serving.script(model)


@pytest.fixture(scope="module")
def config(serving: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    path: Path = tmp_path_factory.mktemp("tasks") / "pipelines.toml"
    path.write_text(CONFIG.replace("URL", serving.url))
    return ("--config", str(path))


@pytest.fixture(scope="module")
def http(nursery: Nursery, config: tuple[str, str]) -> Iterator[str]:
    with ServerProcess("--http", "--port", "0", "--journal", "none", *config, nursery=nursery) as server:
        yield server.url


@pytest.fixture(scope="module", params=["memory", "http"])
async def client(request: pytest.FixtureRequest, serving: ModelServer) -> AsyncIterator[Client]:
    peer: Any = app(serving).server if request.param == "memory" else request.getfixturevalue("http")
    async with taking_tasks(peer) as client:
        yield client


def app(models: ModelServer, journal: Journal | None = None, limited: str = "") -> App:
    return App(parse(limited + CONFIG.replace("URL", models.url)), journal=journal)


async def happens(models: ModelServer, what: Callable[[tuple[Received, ...]], bool], within_s: float = 5.0) -> None:
    await anyio.to_thread.run_sync(models.wait_for, what, within_s)


def paid(models: ModelServer) -> dict[str, int]:
    """Return how often each model was asked."""
    asked = [request.model for request in models.requests]
    return {model: asked.count(model) for model in sorted(set(asked))}


def meta(*, takes_tasks: bool) -> Wire:
    extensions: Wire = {"extensions": {EXTENSION: {}}} if takes_tasks else {}
    return {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": extensions,
        "progressToken": "wanted",
    }


class Wired:
    """A client that sends single requests, each with its own capabilities, and sees the answers as they are."""

    def __init__(self, url: str) -> None:
        self._url = url

    def post(
        self, method: str, *, takes_tasks: bool = True, named: str | None = None, **params: Any
    ) -> httpx2.Response:
        name = named or params.get("taskId") or params.get("name")
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
            **({"Mcp-Name": name} if name else {}),
        }
        params = {**params, "_meta": meta(takes_tasks=takes_tasks)}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return httpx2.post(self._url, json=body, headers=headers)

    def result(self, method: str, *, takes_tasks: bool = True, **params: Any) -> Wire:
        """Return a result without what the SDK adds to every one; it must not be a stream, as one with progress is."""
        response = self.post(method, takes_tasks=takes_tasks, **params)
        assert response.headers["content-type"] == "application/json"
        found: Wire = response.json()["result"]
        assert found.pop("_meta")["io.modelcontextprotocol/serverInfo"]["name"] == "moa-mcp"
        return found

    def until(self, task_id: str, what: Callable[[Wire], bool]) -> Wire:
        """Poll a task until something holds of it."""
        return until(lambda: self.result("tasks/get", taskId=task_id), what)


class Killable:
    """A server on stdio that may be killed."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    def result(self, method: str, **params: Any) -> Wire:
        answer = self._server.ask(next(self._numbers), method, **params, _meta=meta(takes_tasks=True))
        found: Wire = answer["result"]
        return found

    def begin(self) -> str:
        created = self.result("tools/call", name="two", arguments=QUESTION)
        assert created["resultType"] == "task"
        return str(created["taskId"])

    def until(self, task_id: str, what: Callable[[Wire], bool]) -> Wire:
        """Poll a task until something holds of it."""
        return until(lambda: self.result("tasks/get", taskId=task_id), what)

    def kill(self) -> None:
        self._server.signal(signal.SIGKILL)
        self._server.ended()


def until(poll: Callable[[], Wire], what: Callable[[Wire], bool]) -> Wire:
    for _ in range(POLLS):
        if what(task := poll()):
            return task
        time.sleep(PAUSE_S)
    raise AssertionError(task)


async def test_a_call_is_answered_by_polling_its_task_and_without_progress(client: Client, models: ModelServer) -> None:
    told: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    result = await client.call_tool("two", QUESTION, progress_callback=note)
    data = content(result)
    assert (data["status"], data["answer"], told) == ("complete", "answer 1 from c", [])
    assert text(result).startswith("answer 1 from c")
    assert paid(models) == {"a": 1, "b": 1, "c": 1}


async def test_a_task_says_how_far_it_is_and_cancelling_it_ends_its_model_calls(
    client: Client, models: ModelServer
) -> None:
    models.script("b", Hang())
    task_id = await begun(client)
    await happens(models, lambda requests: any(each.model == "b" for each in requests))
    working = await asked(client.session, "tasks/get", task_id)
    assert (working["status"], working["statusMessage"][:21]) == ("working", "step 1 of 2 (propose)")
    await asked(client.session, "tasks/cancel", task_id)
    await happens(models, lambda requests: any(each.model == "b" and each.disconnected for each in requests), 1.0)
    ended = await asked(client.session, "tasks/get", task_id)
    assert (ended["status"], "result" in ended) == ("cancelled", False)


async def test_a_run_that_failed_is_a_completed_task_whose_result_is_an_error(
    client: Client, models: ModelServer
) -> None:
    models.script("c", Status(400, "no"))
    ended = await polled(client.session, await begun(client))
    result = types.CallToolResult.model_validate(ended["result"])
    assert (ended["status"], ended["statusMessage"]) == ("completed", "failed")
    assert (result.is_error, content(result)["status"]) == (True, "failed")


async def test_wrong_arguments_are_an_ordinary_result(client: Client) -> None:
    result = await client.call_tool("two", {"query": "?"})
    assert result.is_error
    assert text(result).startswith("Invalid arguments: ")


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_a_user_is_asked_about_the_cost_before_there_is_a_task(
    models: ModelServer, action: Literal["accept", "decline"]
) -> None:
    async def user(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        del context, params
        assert await asked_for.runs.journal.records() == ()
        return types.ElicitResult(action=action, content={"start": True})

    asked_for = app(models, limited="budget.confirm_above_usd = 0")
    async with Client(asked_for.server, extensions=[TakesTasks()], elicitation_callback=user, cache=None) as client:
        result = await client.call_tool("two", QUESTION)
        records = await asked_for.runs.journal.records()
    assert (result.is_error, len(records)) == ((False, 1) if action == "accept" else (True, 0))


async def test_waiting_for_a_run_that_goes_on_and_resuming_one_are_the_run_s_task(
    client: Client, models: ModelServer
) -> None:
    models.script("b", Hang())
    task_id = await begun(client)
    assert await begun(client, "moa_wait", run_id=task_id) == task_id
    await asked(client.session, "tasks/cancel", task_id)
    models.script("b")
    assert await begun(client, "moa_resume", run_id=task_id) == task_id
    assert (await polled(client.session, task_id))["status"] == "completed"
    waited = await client.session.call_tool("moa_wait", {"run_id": task_id}, allow_claimed=True)
    assert isinstance(waited, types.CallToolResult)
    assert content(waited)["status"] == "complete"


async def test_a_run_outlives_the_client_that_was_given_its_task(http: str, models: ModelServer) -> None:
    models.script("b", Hang())
    async with taking_tasks(http) as client:
        task_id = await begun(client)
        await happens(models, lambda requests: any(each.model == "b" for each in requests))
    async with taking_tasks(http) as client:
        assert (await asked(client.session, "tasks/get", task_id))["status"] == "working"
        assert not any(request.disconnected for request in models.requests)
        await asked(client.session, "tasks/cancel", task_id)


async def test_over_http_a_header_may_not_name_another_task_but_may_be_absent(http: str, models: ModelServer) -> None:
    async with taking_tasks(http) as client:
        task_id = await begun(client)
        nameless = NamelessTaskRequest(method="tasks/get", params=TaskParams(task_id=task_id))
        assert (await client.session.send_request(nameless, ANYTHING))["taskId"] == task_id
    refused = Wired(http).post("tasks/get", taskId=task_id, named="another")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, types.HEADER_MISMATCH)


def test_the_shapes_on_the_wire_are_those_of_the_extension(http: str, models: ModelServer) -> None:
    models.script("b", Hang())
    wired = Wired(http)
    offered = wired.result("server/discover")["capabilities"]["extensions"]
    created = wired.result("tools/call", name="two", arguments=QUESTION)
    task_id = created["taskId"]
    working = wired.until(task_id, lambda task: "1 of 2 calls answered" in task["statusMessage"])
    updated = wired.result("tasks/update", taskId=task_id, inputResponses={})
    models.script("b")
    cancelled = wired.result("tasks/cancel", taskId=task_id)
    over = wired.result("tasks/get", taskId=task_id)
    wired.result("tools/call", name="moa_resume", arguments={"run_id": task_id})
    ended = wired.until(task_id, lambda task: task["status"] != "working")
    plain = wired.result("tools/call", takes_tasks=False, name="moa_wait", arguments={"run_id": task_id})

    at = created["createdAt"]
    task = {"taskId": task_id, "ttlMs": None, "pollIntervalMs": 1000, "createdAt": at, "lastUpdatedAt": at}
    told = {"resultType": "task", "status": "working", "statusMessage": created["statusMessage"]}
    assert offered[EXTENSION] == {}
    assert created == {**task, **told}
    told = {"status": "working", "statusMessage": "step 1 of 2 (propose): 1 of 2 calls answered"}
    assert working == {**task, **told, "resultType": "complete"}
    assert updated == cancelled == {"resultType": "complete"}
    told = {"status": "cancelled", "statusMessage": "cancelled", "lastUpdatedAt": over["lastUpdatedAt"]}
    assert over == {**task, **told, "resultType": "complete"}
    told = {"status": "completed", "statusMessage": "complete", "lastUpdatedAt": ended["lastUpdatedAt"]}
    assert ended == {**task, **told, "resultType": "complete", "result": plain}
    assert at < over["lastUpdatedAt"] <= ended["lastUpdatedAt"]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
def test_an_unknown_task_is_named(http: str, method: str) -> None:
    unknown = Wired(http).post(method, taskId="none").json()["error"]
    assert (unknown["code"], unknown["data"]) == (types.INVALID_PARAMS, {"taskId": "none"})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tasks/get", {"taskId": "none"}),
        ("tasks/update", {"taskId": "none"}),
        ("tasks/cancel", {"taskId": "none"}),
        ("subscriptions/listen", {"notifications": {"taskIds": ["none"]}}),
    ],
)
def test_who_does_not_take_tasks_is_told_what_is_missing(http: str, method: str, params: Wire) -> None:
    refused = Wired(http).post(method, takes_tasks=False, **params)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, types.MISSING_REQUIRED_CLIENT_CAPABILITY)
    assert error["data"] == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}


async def test_before_2026_there_are_no_tasks(models: ModelServer) -> None:
    async with Client(app(models).server, mode="legacy", extensions=[TakesTasks()], read_timeout_seconds=10) as client:
        result = await client.call_tool("two", QUESTION)
        with pytest.raises(MCPError) as refused:
            await asked(client.session, "tasks/get", content(result)["run_id"])
    assert content(result)["status"] == "complete"
    assert refused.value.error == types.ErrorData(
        code=types.METHOD_NOT_FOUND, message="Method not found", data="tasks/get"
    )


async def test_a_task_goes_on_when_its_server_was_killed_and_nothing_answered_is_paid_twice(
    nursery: Nursery, config: tuple[str, str], models: ModelServer, tmp_path: Path
) -> None:
    models.script("b", Hang())
    start = ("--journal", str(tmp_path / "journal.db"), *config)
    with ServerProcess(*start, nursery=nursery) as server:
        before = Killable(server)
        cancelled = before.begin()
        lives.until(lambda: paid(models) == {"a": 1, "b": 1})
        before.result("tasks/cancel", taskId=cancelled)
        models.clear()
        task_id = before.begin()
        before.until(task_id, lambda task: "1 of 2 calls answered" in task["statusMessage"])
        before.kill()
    models.script("b", Reply("It is."))
    with ServerProcess("--http", "--port", "0", *start, nursery=nursery) as server:
        await _goes_on(server.url, task_id, cancelled)
    assert paid(models) == {"a": 1, "b": 2, "c": 1}


async def _goes_on(url: str, task_id: str, cancelled: str) -> None:
    async with taking_tasks(url) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):  # one of them takes the run up
                tasks.start_soon(asked, client.session, "tasks/get", task_id)
        result = await client.call_tool("moa_wait", {"run_id": task_id})
        ended = await polled(client.session, task_id)
        still = await asked(client.session, "tasks/get", cancelled)
    assert (ended["status"], still["status"]) == ("completed", "cancelled")
    assert ended["result"]["structuredContent"] == content(result)
    assert (content(result)["status"], content(result)["answer"]) == ("complete", "answer 1 from c")


async def test_the_task_of_a_run_that_another_process_drives_can_be_waited_for_and_cancelled(
    models: ModelServer,
) -> None:
    models.script("b", Hang())
    journal = MemoryJournal()
    async with taking_tasks(app(models, journal).server) as one, taking_tasks(app(models, journal).server) as other:
        task_id = await begun(one)
        assert await begun(other, "moa_wait", run_id=task_id) == task_id
        assert (await asked(other.session, "tasks/get", task_id))["status"] == "working"
        await asked(other.session, "tasks/cancel", task_id)
        assert (await asked(other.session, "tasks/get", task_id))["status"] == "cancelled"


async def test_an_interrupted_task_that_can_not_be_gone_on_with_says_why(models: ModelServer) -> None:
    journal = MemoryJournal()
    await journal.begin(RunRecord("old", "two", "{}", "running", "", 0.0, time.time()))
    await journal.release("old")
    async with taking_tasks(app(models, journal).server) as client:
        task = await asked(client.session, "tasks/get", "old")
    result = types.CallToolResult.model_validate(task["result"])
    assert (task["status"], task["createdAt"], result.is_error) == ("completed", "1970-01-01T00:00:00.000Z", True)
    assert task["statusMessage"] == text(result)
    assert "another version of moa-mcp" in text(result)
    assert models.requests == ()


class Refusing(MemoryJournal):
    """Can't be written, and later not even read."""

    readable = True

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        raise JournalError(f"the disk is full: {record.run_id}, {queued}, {max_runs}")

    async def events(self, run_id: str, after: int = 0) -> Page:
        if not self.readable:
            raise JournalError("the disk is gone")
        return await super().events(run_id, after)


async def test_what_can_not_be_put_on_record_is_no_task(models: ModelServer) -> None:
    journal = Refusing()
    async with taking_tasks(app(models, journal).server) as client:
        result = await client.call_tool("two", QUESTION)
        journal.readable = False
        with pytest.raises(MCPError) as refused:
            await asked(client.session, "tasks/get", "any")
    assert (result.is_error, text(result).startswith("the disk is full"), models.requests) == (True, True, ())
    assert (refused.value.code, refused.value.error.message) == (types.INTERNAL_ERROR, "the disk is gone")
