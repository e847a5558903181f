"""A conversation with a pipeline over MCP: the official client, the server, and models over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp import Client

from tests.support.model_server import ModelServer, Reply, Status
from tests.support.nursery import Nursery
from tests.support.serving import ServerProcess, content, parameters, text

pytestmark = pytest.mark.anyio

STEPS = """
[pipelines.panel]
steps = [{ step = "propose", agents = ["first", "second"] }, { step = "aggregate", agent = "last" }]
[pipelines.single]
steps = [{ step = "propose", agents = ["first"] }, { step = "take", n = 1 }]
"""
TOO_LONG = Status(400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        server.script("last", *(Reply(f"answer {number}") for number in range(1, 9)))
        yield server


@pytest.fixture
def options(models: ModelServer, tmp_path: Path) -> tuple[str, ...]:
    config = tmp_path / "pipelines.toml"
    route = f'{{{{ model = "openai/{{0}}", api_base = "{models.url}" }}}}'
    tables = "\n".join(f"models.{name}.routes = [{route.format(name)}]" for name in ("first", "second", "last"))
    config.write_text(f"{tables}\nlimits.attempts = 1\n{STEPS}", "utf-8")
    return ("--config", str(config), "--journal", str(tmp_path / "journal.sqlite"))


@pytest.fixture(params=["stdio", "http"])
async def client(request: pytest.FixtureRequest, options: tuple[str, ...], nursery: Nursery) -> AsyncIterator[Client]:
    if request.param == "stdio":
        async with Client(parameters(*options, nursery=nursery), read_timeout_seconds=30, cache=None) as client:
            yield client
    else:
        with ServerProcess(*options, "--http", "--port", "0", nursery=nursery) as server:
            async with Client(server.url, read_timeout_seconds=30, cache=None) as client:
                yield client


def messages(models: ModelServer, model: str) -> list[dict[str, str]]:
    """Return what a model was sent last."""
    received = [each.body["messages"] for each in models.requests if each.model == model]
    last: list[dict[str, str]] = received[-1]
    return last


async def ask(client: Client, name: str = "panel", **arguments: Any) -> types.CallToolResult:
    return await client.call_tool(name, {"wait_s": 30, **arguments})


async def test_every_member_gets_the_conversation_so_far(client: Client, models: ModelServer) -> None:
    one = content(await ask(client, question="Who wrote it?", context="By Ann.", system="Be brief.", continue_run=""))
    two = content(await ask(client, question="When?", continue_run=one["run_id"][:8]))
    three = await ask(client, question="Why?", continue_run="last")
    assert (content(three)["answer"], content(three)["continues"]) == ("answer 3", two["run_id"])
    assert f"continues run {two['run_id']}" in text(three)
    system, asked, *rest = messages(models, "first")
    assert system == {"role": "system", "content": "Be brief."}
    assert asked["role"] == "user"
    assert asked["content"].startswith("Who wrote it?\n\n----- context (")
    assert [(each["role"], each["content"]) for each in rest] == [
        ("assistant", "answer 1"),
        ("user", "When?"),
        ("assistant", "answer 2"),
        ("user", "Why?"),
    ]
    assert messages(models, "second") == messages(models, "first")
    assert messages(models, "last")[1:] == messages(models, "first")[1:]
    traced = content(await client.call_tool("moa_trace", {"run_id": "last"}))
    assert traced["continues"] == two["run_id"]
    assert [each["content"] for each in traced["question"]["turns"]][1:] == ["answer 1", "When?", "answer 2"]


async def test_an_estimate_counts_the_conversation(client: Client) -> None:
    one = content(await ask(client, question="Who wrote it?", context="By Ann. " * 500))
    asked = {"pipeline": "panel", "question": "When?"}
    alone = content(await client.call_tool("moa_estimate", asked))
    follows = content(await client.call_tool("moa_estimate", {**asked, "continue_run": one["run_id"]}))
    assert follows["prompt_tokens"]["min"] - alone["prompt_tokens"]["min"] > 3 * 900


async def test_what_can_not_be_followed_is_told_with_a_remedy(client: Client, models: ModelServer) -> None:
    unknown = await ask(client, question="When?", continue_run="zzzz")
    assert (unknown.is_error, text(unknown)) == (True, "there is no run 'zzzz' in the journal")
    models.script("first", Status(500, "down"))
    failed = content(await ask(client, "single", question="Who?"))
    refused = await ask(client, "single", question="When?", continue_run=failed["run_id"])
    assert refused.is_error
    assert "is failed and has no answer; resume or fork it" in text(refused)
    models.script("first", Reply("Ann."))
    await client.call_tool("moa_resume", {"run_id": failed["run_id"]})
    assert content(await ask(client, "single", question="When?", continue_run="last"))["answer"] == "Ann."


async def test_a_conversation_that_a_provider_finds_too_long_can_continue(client: Client, models: ModelServer) -> None:
    one = content(await ask(client, "single", question="Who?"))
    models.script("first", TOO_LONG)
    refused = await ask(client, "single", question="When?", continue_run=one["run_id"])
    assert content(refused)["status"] == "failed"
    assert "the conversation is too long for first" in text(refused)
    assert f'continue_run = "{one["run_id"]}"' in text(refused)
    answered = await ask(client, "single", question="When?", continue_run=one["run_id"], models="second")
    assert content(answered)["status"] == "complete"
