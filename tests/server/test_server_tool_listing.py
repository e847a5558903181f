"""What the list of tools takes of a model's context, and that results are what it declares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import mcp_types as types
import pytest
from jsonschema import Draft202012Validator
from mcp import Client

from moa_mcp.config import shipped
from tests.support.serving import OFFLINE, content, parameters, text

pytestmark = pytest.mark.anyio

CHARACTERS = 4
"""Of one token."""
MOST_TOKENS = 5000
MOST_SHOWN_TOKENS = 2500
QUESTION = {"question": "What is 17 * 23?", "seed": 279}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["auto", "legacy"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(parameters(*OFFLINE), mode=request.param, read_timeout_seconds=20, cache=None) as client:
        yield client


def tokens(written: str) -> float:
    return len(written) / CHARACTERS


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("key", ["", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY"])
async def test_the_list_of_shipped_tools_leaves_a_models_context_to_the_conversation(mode: str, key: str) -> None:
    server = parameters("--config", str(shipped()), nursery=None, **({key: "x"} if key else {}))
    async with Client(server, mode=mode, read_timeout_seconds=20, cache=None) as client:
        listed = await client.list_tools()
    shown = listed.model_dump_json(
        by_alias=True, include={"tools": {"__all__": {"name", "description", "input_schema"}}}
    )
    assert tokens(listed.model_dump_json(by_alias=True, exclude_none=True)) <= MOST_TOKENS
    assert tokens(shown) <= MOST_SHOWN_TOKENS


async def test_the_official_client_and_the_schemas_accept_every_tools_result(client: Client) -> None:
    schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
    answered = await client.call_tool("vote", QUESTION)
    run = {"run_id": content(answered)["run_id"]}
    results = {
        "vote": answered,
        **{name: await client.call_tool(name, run) for name in ("moa_wait", "moa_cancel", "moa_trace")},
        "moa_fork": await client.call_tool("moa_fork", {**run, "step": 2}),
        "moa_estimate": await client.call_tool("moa_estimate", {"pipeline": "vote"}),
    }
    for name, result in results.items():
        assert not result.is_error, text(result)
        Draft202012Validator(schemas[name] or {}).validate(content(result))


async def test_the_schema_accepts_a_run_without_an_answer(client: Client) -> None:
    schema = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}["moa_wait"]
    started = await client.call_tool("together_moa", {**QUESTION, "wait_s": 0})
    cancelled = await client.call_tool("moa_cancel", {"run_id": content(started)["run_id"]})
    for result, status in ((started, "running"), (cancelled, "cancelled")):
        assert (content(result)["status"], content(result)["answer"]) == (status, None)
        Draft202012Validator(schema or {}).validate(content(result))


async def test_every_field_of_a_trace_page_is_declared(client: Client) -> None:
    declared = properties(next(tool for tool in (await client.list_tools()).tools if tool.name == "moa_trace"))
    answered = content(await client.call_tool("vote", QUESTION))
    page = content(await client.call_tool("moa_trace", {"run_id": answered["run_id"]}))
    assert set(page) == set(declared)


def properties(tool: types.Tool) -> dict[str, Any]:
    assert tool.output_schema is not None
    found: dict[str, Any] = tool.output_schema["properties"]
    return found


async def test_every_argument_whose_name_does_not_say_all_is_described_in_a_tool_or_in_the_instructions(
    client: Client,
) -> None:
    properties = [
        each for tool in (await client.list_tools()).tools for each in tool.input_schema["properties"].items()
    ]
    described = {name for name, schema in properties if "description" in schema}
    explained = {name for name, _ in properties if f"{name}: " in (client.instructions or "")}
    assert {name for name, _ in properties} - described - explained == {"run_id", "page"}
    asked = {"question", "context", "images", "system", "seed", "models", "aggregator", "wait_s", "deadline_s"}
    assert explained == asked | {"answer_schema", "max_cost_usd", "continue_run"}
