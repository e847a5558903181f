"""Runs above confirm_above_usd over MCP: the user is asked in both protocol eras, or the caller is told what to do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPError

from moa_mcp.callers import Caller
from moa_mcp.config import parse
from moa_mcp.server.app import App
from tests.support.model_server import ModelServer
from tests.support.nursery import Nursery
from tests.support.serving import ServerProcess, content, parameters, text

pytestmark = pytest.mark.anyio

CONFIG = """
budget.confirm_above_usd = 0.5
models.a.routes = [{ model = "openai/a", api_base = "URL", usd_per_million = { prompt = 1, completion = 1000 } }]
models.b.routes = [{ model = "openai/b", api_base = "URL" }]
models.absent.routes = [{ model = "openai/absent", api_key_env = "NO_SUCH_KEY" }]

[pipelines.dear]
steps = [{ step = "propose", agents = ["a"], max_tokens = 2000 }]

[pipelines.allowed]
confirm_above_usd = 0.8
steps = [{ step = "propose", agents = ["a"], max_tokens = 2000 }]

[pipelines.two]
steps = [
    { step = "propose", agents = ["a"], max_tokens = 2000 },
    { step = "aggregate", agent = "a", max_tokens = 2000 },
]

[pipelines.unpriced]
steps = [{ step = "propose", agents = ["a", "b"], max_tokens = 10 }, { step = "vote", method = "majority" }]

[pipelines.blocked]
steps = [{ step = "propose", agents = ["a"], max_tokens = 2000 }, { step = "aggregate", agent = "absent" }]
"""
QUESTION = {"question": "Is it going to rain?"}
ASKED = (
    "dear will make 1 model call, expected to cost $0.7000, and at most $2.00 if nothing has to be repeated; "
    "confirm_above_usd is $0.5000."
)
AGREED = types.ElicitResult(action="accept", content={"start": True})
REFUSALS = (
    types.ElicitResult(action="decline"),
    types.ElicitResult(action="cancel"),
    types.ElicitResult(action="accept", content={"start": False}),
    types.ElicitResult(action="accept"),
)


class User:
    """Whom a client asks, and what they say."""

    def __init__(self, models: ModelServer, *says: types.ElicitResult | types.ErrorData) -> None:
        self.asked: list[str] = []
        self._models = models
        self._says = iter(says)

    async def __call__(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        del context
        assert isinstance(params, types.ElicitRequestFormParams)
        self.asked.append(params.message)
        assert self._models.requests == ()
        return next(self._says)


class Hesitant(User):
    """Does not answer before the time has come."""

    def __init__(self, models: ModelServer, *says: types.ElicitResult) -> None:
        super().__init__(models, *says)
        self.pondering, self.decided = anyio.Event(), anyio.Event()

    async def __call__(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        self.pondering.set()
        await self.decided.wait()
        return await super().__call__(context, params)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def models(serving: ModelServer) -> ModelServer:
    serving.clear()
    return serving


@pytest.fixture(scope="module", params=["memory", "stdio", "http", "sse"])
def peer(
    request: pytest.FixtureRequest, serving: ModelServer, tmp_path_factory: pytest.TempPathFactory, nursery: Nursery
) -> Iterator[Callable[[], Any]]:
    path: Path = tmp_path_factory.mktemp("agreement") / "pipelines.toml"
    path.write_text(CONFIG.replace("URL", serving.url))
    start = ("--journal", "none", "--config", str(path))
    if request.param == "memory":
        yield lambda: app(serving).server
    elif request.param == "stdio":
        yield lambda: parameters(*start, nursery=nursery)
    else:
        with ServerProcess(f"--{request.param}", "--port", "0", *start, nursery=nursery) as server:
            yield lambda: server.url if request.param == "http" else sse_client(server.url)


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def app(models: ModelServer, *changes: tuple[str, str]) -> App:
    config = CONFIG.replace("URL", models.url)
    for old, new in changes:
        config = config.replace(old, new)
    return App(parse(config))


@asynccontextmanager
async def asking(user: User | None, peer: Any, era: str) -> AsyncIterator[Client]:
    async with Client(peer, mode=era, elicitation_callback=user, read_timeout_seconds=10, cache=None) as client:
        yield client


async def test_a_run_above_the_limit_starts_when_its_user_agrees_and_only_then(
    peer: Callable[[], Any], era: str, models: ModelServer
) -> None:
    user = User(models, *REFUSALS, AGREED)
    async with asking(user, peer(), era) as client:
        refused = [await client.call_tool("dear", QUESTION) for _ in REFUSALS]
        assert models.requests == ()
        agreed = await client.call_tool("dear", {**QUESTION, "wait_s": 0})
        await client.call_tool("moa_cancel", {"run_id": content(agreed)["run_id"]})
    assert user.asked == [f"{ASKED} Start the run?"] * 5
    told = f"Not started: the user declined the cost. {ASKED} No model was called and nothing was spent."
    assert [(each.is_error, text(each)) for each in refused] == [(True, told)] * 4
    assert (agreed.is_error, content(agreed)["status"]) == (False, "running")


async def test_a_client_that_can_not_ask_is_told_what_to_call_with_and_that_agrees(
    era: str, models: ModelServer
) -> None:
    async with asking(None, app(models).server, era) as client:
        refused = await client.call_tool("dear", QUESTION)
        too_little = await client.call_tool("dear", {**QUESTION, "max_cost_usd": 0.69})
        assert models.requests == ()
        named = re.search(r"([\d.]+) covers", text(refused))
        assert named is not None
        agreed = await client.call_tool("dear", {**QUESTION, "max_cost_usd": float(named[1])})
    assert (refused.is_error, text(too_little)) == (True, text(refused))
    assert text(refused) == (
        f"Not started: confirmation required, and this client does not support form elicitation. {ASKED} "
        "No model was called and nothing was spent. If the user accepts this cost, call again with "
        "max_cost_usd = 2.0001 or more. 2.0001 covers the worst-case cost of every call with a known "
        "price; a lower budget may skip calls."
    )
    assert content(agreed)["status"] == "complete"


async def test_a_user_who_can_be_asked_is_asked_whatever_the_caller_allows(era: str, models: ModelServer) -> None:
    user = User(models, types.ElicitResult(action="decline"))
    async with asking(user, app(models).server, era) as client:
        result = await client.call_tool("dear", {**QUESTION, "max_cost_usd": 100})
    assert (len(user.asked), result.is_error, models.requests) == (1, True, ())


async def test_who_asks_a_model_without_a_known_price_is_asked_at_any_limit(era: str, models: ModelServer) -> None:
    user = User(models, AGREED)
    async with asking(user, app(models).server, era) as client:
        await client.call_tool("unpriced", QUESTION)
    (asked,) = user.asked
    assert asked == (
        "unpriced will make 2 model calls. No price is known for b; the others are expected to cost $0.006009, and at "
        "most $0.0100 if nothing has to be repeated; confirm_above_usd is $0.5000. Start the run?"
    )


async def test_a_fork_above_the_limit_needs_an_agreement_to_what_it_asks_anew(era: str, models: ModelServer) -> None:
    user = User(models, AGREED, types.ElicitResult(action="decline"), AGREED)
    async with asking(user, app(models).server, era) as client:
        whole = content(await client.call_tool("two", QUESTION))
        models.clear()
        fork = {"run_id": whole["run_id"], "step": 2}
        refused = await client.call_tool("moa_fork", fork)
        assert models.requests == ()
        agreed = await client.call_tool("moa_fork", fork)
    assert [asked.split(",")[0] for asked in user.asked] == [
        "two will make 2 model calls",
        "two will make 1 model call",
        "two will make 1 model call",
    ]
    assert (refused.is_error, content(agreed)["status"], len(models.requests)) == (True, "complete", 1)


async def test_a_client_that_can_not_ask_agrees_to_a_fork_by_its_max_cost_which_then_holds(
    era: str, models: ModelServer
) -> None:
    async with asking(None, app(models).server, era) as client:
        whole = content(await client.call_tool("two", {**QUESTION, "max_cost_usd": 9}))
        models.clear()
        fork = {"run_id": whole["run_id"], "step": 2}
        refused = await client.call_tool("moa_fork", fork)
        assert models.requests == ()
        agreed = content(await client.call_tool("moa_fork", {**fork, "max_cost_usd": 3}))
    assert "call again with max_cost_usd = 2.0" in text(refused)
    assert (agreed["status"], len(models.requests)) == ("complete", 1)
    assert (whole["estimate"]["max_cost_usd"], whole["estimate"]["calls"]) == (9, 2)
    assert (agreed["estimate"]["max_cost_usd"], agreed["estimate"]["calls"]) == (3, 1)


async def test_a_resumed_run_above_the_limit_needs_a_confirmation_of_its_higher_budget(
    era: str, models: ModelServer
) -> None:
    user = User(models, types.ElicitResult(action="decline"), AGREED)
    async with asking(user, app(models).server, era) as client:
        small = content(await client.call_tool("dear", {**QUESTION, "max_cost_usd": 0.5}))
        resume = {"run_id": small["run_id"], "max_cost_usd": 9}
        refused = await client.call_tool("moa_resume", resume)
        assert models.requests == ()
        confirmed = await client.call_tool("moa_resume", resume)
    assert user.asked == [f"{ASKED} Start the run?"] * 2
    assert (refused.is_error, content(confirmed)["status"], len(models.requests)) == (True, "complete", 1)


@pytest.mark.parametrize("changes", [[], [("budget.confirm_above_usd = 0.5", "")], [("= 0.5", "= 0.8")]])
async def test_nobody_is_asked_about_a_run_within_the_limit(
    era: str, models: ModelServer, changes: list[tuple[str, str]]
) -> None:
    async with asking(User(models), app(models, *changes).server, era) as client:
        result = await client.call_tool("dear" if changes else "allowed", QUESTION)
    assert content(result)["status"] == "complete"


async def test_nobody_is_asked_about_a_run_that_may_not_cost_more_than_the_limit(era: str, models: ModelServer) -> None:
    capped = ("[pipelines.dear]", "[pipelines.dear]\nmax_cost_usd = 0.5")
    async with asking(User(models), app(models, capped).server, era) as client:
        configured = await client.call_tool("dear", QUESTION)
    async with asking(User(models), app(models).server, era) as client:
        called = await client.call_tool("dear", {**QUESTION, "max_cost_usd": 0.5})
    assert (content(configured)["status"], content(called)["status"], models.requests) == ("failed", "failed", ())


async def test_nobody_is_asked_about_a_run_that_can_not_start(era: str, models: ModelServer) -> None:
    async with asking(User(models), app(models).server, era) as client:
        result = await client.call_tool("blocked", QUESTION)
    assert (result.is_error, models.requests) == (True, ())
    assert text(result) == (
        "Not started: no usable provider: absent: no route can be used here; set NO_SUCH_KEY. "
        "No model was called and nothing was spent."
    )


async def test_nobody_is_asked_about_a_simulation(era: str, models: ModelServer) -> None:
    config = CONFIG.replace("URL", models.url).replace("= 0.5", "= 0")
    async with asking(User(models), App(parse(config), offline=True).server, era) as client:
        result = await client.call_tool("dear", QUESTION)
    assert content(result)["status"] == "complete"


async def test_a_client_that_fails_to_ask_gets_no_run(models: ModelServer) -> None:
    user = User(models, types.ErrorData(code=types.INTERNAL_ERROR, message="no window to ask in"))
    async with asking(user, app(models).server, "legacy") as client:
        result = await client.call_tool("dear", QUESTION)
    assert (result.is_error, models.requests) == (True, ())
    assert text(result).startswith(
        f"Not started: confirmation required, and the client could not show the confirmation. {ASKED}"
    )


@pytest.mark.parametrize("patience_s", [None, 0.3])
async def test_a_client_that_aborts_or_runs_out_of_time_while_its_user_is_asked_gets_no_run(
    models: ModelServer, patience_s: float | None
) -> None:
    user = Hesitant(models, AGREED)
    server = app(models)
    told: list[str | None] = []
    call = anyio.CancelScope()

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        told.append(message)

    async def calling(client: Client) -> None:
        with call, suppress(MCPError):
            await client.call_tool("dear", QUESTION, read_timeout_seconds=patience_s, progress_callback=heard)
        user.decided.set()

    async with asking(user, server.server, "legacy") as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calling, client)
            await user.pondering.wait()
            if patience_s is None:
                call.cancel()
        await client.call_tool("moa_estimate", {"pipeline": "dear"})
        assert await server.runs.journal.records() == ()
    assert told == ["waiting for the user to confirm the cost"]
    assert models.requests == ()


async def round_trip(client: Client, arguments: dict[str, Any], **answer: Any) -> types.Result:
    result: types.Result = await client.session.call_tool("dear", arguments, allow_input_required=True, **answer)
    return result


async def test_an_agreement_holds_for_the_call_that_was_asked_about_and_for_no_other(models: ModelServer) -> None:
    said = {"agreement": AGREED}
    async with asking(User(models), app(models).server, "auto") as client:
        asked = await round_trip(client, QUESTION)
        assert isinstance(asked, types.InputRequiredResult)
        assert asked.request_state is not None
        unasked = await round_trip(client, QUESTION, input_responses=said)
        assert isinstance(unasked, types.InputRequiredResult)
        for arguments, state in (
            ({"question": "Another?"}, asked.request_state),
            (QUESTION, f"{asked.request_state[:-4]}AAAA"),
            (QUESTION, ASKED),
        ):
            with pytest.raises(MCPError, match="requestState"):
                await round_trip(client, arguments, input_responses=said, request_state=state)
        assert models.requests == ()
        agreed = await round_trip(client, QUESTION, input_responses=said, request_state=asked.request_state)
    assert isinstance(agreed, types.CallToolResult)
    assert content(agreed)["status"] == "complete"


@pytest.mark.parametrize("answering", ["alice", "bob"])
async def test_only_the_caller_that_was_asked_can_confirm_the_cost(models: ModelServer, answering: str) -> None:
    calling = "alice"

    async def confirmed(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        nonlocal calling
        calling = answering  # who sends the answer that this returns
        return AGREED

    config = parse(CONFIG.replace("URL", models.url))
    server = App(config, caller_of=lambda _: Caller(calling)).server
    async with Client(server, elicitation_callback=confirmed, read_timeout_seconds=10) as client:
        if answering == "alice":
            assert content(await client.call_tool("dear", QUESTION))["status"] == "complete"
        else:
            with pytest.raises(MCPError):
                await client.call_tool("dear", QUESTION)
    assert len(models.requests) == (answering == "alice")
