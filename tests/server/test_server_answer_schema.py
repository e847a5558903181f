"""Answers in JSON through the server: the official client over stdio and HTTP, models that err as models do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.model_server import ModelServer, RefuseParameter, Reply, Status
from tests.support.nursery import Nursery
from tests.support.serving import ServerProcess, content, parameters, text

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
LOOSE = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
ASKED = {"question": "How many?", "answer_schema": SCHEMA}
RIGHT = '{"n": 3}'


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def models(serving: ModelServer) -> Iterator[ModelServer]:
    serving.clear()
    yield serving
    for model in ("gpt-4o-mini", "one"):
        serving.script(model)


@pytest.fixture(scope="module")
def config(serving: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def route(name: str) -> str:
        return f'models.{name}.routes = [{{ model = "openai/{name}", api_base = "{serving.url}" }}]'

    steps = '[{ step = "propose", agents = ["one"] }, { step = "aggregate", agent = "gpt-4o-mini" }]'
    path = tmp_path_factory.mktemp("config") / "pipelines.toml"
    form = json.dumps(SCHEMA)
    path.write_text(
        f'{route("one")}\n{route("gpt-4o-mini")}\n[pipelines.p]\ndescription = "x"\nsteps = {steps}\n'
        f"[pipelines.formed]\ndescription = \"x\"\nsteps = {steps}\nanswer_schema = '{form}'\n",
        "utf-8",
    )
    return path


@pytest.fixture(scope="module", params=["stdio", "http"])
async def client(request: pytest.FixtureRequest, config: Path, nursery: Nursery) -> AsyncIterator[Client]:
    start = ("--config", str(config))
    if request.param == "stdio":
        async with Client(parameters(*start, nursery=nursery), read_timeout_seconds=30, cache=None) as client:
            yield client
        return
    with ServerProcess("--http", "--port", "0", *start, nursery=nursery) as server:
        async with Client(streamable_http_client(server.url), read_timeout_seconds=30) as client:
            yield client


async def called(client: Client, **arguments: Any) -> types.CallToolResult:
    return await client.call_tool("p", {**ASKED, **arguments})


def formats(models: ModelServer) -> list[Any]:
    return [each.body.get("response_format") for each in models.requests if each.model == "gpt-4o-mini"]


async def test_the_last_model_is_sent_the_schema_and_asked_again_until_its_reply_is_valid(
    client: Client, models: ModelServer
) -> None:
    models.script("gpt-4o-mini", Reply("Three."), Reply('{"n": "3"}'), Reply(f"Sorry:\n```json\n{RIGHT}\n```"))
    result = await called(client)
    data = content(result)
    assert (data["status"], data["answer"], data["answer_json"]) == ("complete", RIGHT, {"n": 3})
    assert text(result).startswith(f"{RIGHT}\n\n[p, run ")
    wanted = {"name": formats(models)[0]["json_schema"]["name"], "strict": True, "schema": SCHEMA}
    assert formats(models) == [{"type": "json_schema", "json_schema": wanted}] * 3
    assert [each.body.get("response_format") for each in models.requests if each.model == "one"] == [None]
    last = [each for each in models.requests if each.model == "gpt-4o-mini"][-1].body["messages"]
    assert json.dumps(SCHEMA) in last[0]["content"]
    assert last[-1]["content"].endswith("at /n: '3' is not of type 'integer'")
    page = content(await client.call_tool("moa_trace", {"run_id": data["run_id"]}))
    assert (page["answer_json"], page["question"]["answer_schema"]) == ({"n": 3}, SCHEMA)


async def test_a_run_without_a_valid_answer_says_so_first(client: Client, models: ModelServer) -> None:
    models.script("gpt-4o-mini", Reply('{"n": "3"}'))
    result = await called(client)
    data = content(result)
    assert (data["status"], data["answer"], data["answer_json"]) == ("degraded", '{"n": "3"}', None)
    told = "aggregate: the answer is not JSON that the answer schema accepts: at /n: '3' is not of type 'integer'"
    assert text(result).splitlines()[0] == f"Degraded: {told}"
    assert told in data["notes"]
    assert len(formats(models)) == 3


@pytest.mark.parametrize(
    "refusal",
    [
        RefuseParameter("response_format"),
        Status(400, "Invalid schema for response_format 'answer': too many states", param="response_format"),
        Status(400, "The specified schema produces a constraint that has too many states for serving."),
    ],
)
async def test_a_provider_that_refuses_the_schema_is_asked_in_words_alone(
    client: Client, models: ModelServer, refusal: Any
) -> None:
    name = f"n{len(str(refusal))}"  # what is learned holds for one schema
    schema = {**SCHEMA, "properties": {name: {"type": "integer"}}, "required": [name]}
    models.script("gpt-4o-mini", refusal, Reply(f'{{"{name}": 3}}'))
    for _ in range(2):
        data = content(await called(client, answer_schema=schema))
        assert (data["status"], data["answer_json"]) == ("complete", {name: 3})
        assert "openai/gpt-4o-mini does not take response_format; left out" in data["notes"]
    assert [each is not None for each in formats(models)] == [True, False, False]


async def test_a_schema_beyond_the_strict_mode_is_sent_as_one_to_follow_or_only_in_words(
    client: Client, models: ModelServer
) -> None:
    models.script("gpt-4o-mini", Reply(RIGHT), Reply("[3]"))
    assert content(await called(client, answer_schema=json.dumps(LOOSE)))["answer_json"] == {"n": 3}
    assert content(await called(client, answer_schema={"type": "array"}))["answer_json"] == [3]
    first, second = formats(models)
    assert (first["json_schema"]["strict"], first["json_schema"]["schema"], second) == (False, LOOSE, None)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "objekt"}, "answer_schema is invalid at #/type: 'objekt' is not valid"),
        ('{"type": ', "answer_schema is not JSON: "),
        ({"items": {"$ref": "https://example.com/x"}}, "answer_schema is invalid at #/items: $ref leads out"),
        (["x"], "answer_schema should be an object, such as {"),
    ],
)
async def test_a_schema_that_can_not_be_used_is_refused_before_anything_is_paid(
    client: Client, models: ModelServer, schema: Any, told: str
) -> None:
    result = await called(client, answer_schema=schema)
    assert result.is_error
    assert told in text(result)
    assert not models.requests


async def test_a_pipeline_may_have_a_schema_of_its_own(client: Client, models: ModelServer) -> None:
    models.script("gpt-4o-mini", Reply(RIGHT), Reply("[3]"))
    assert content(await client.call_tool("formed", {"question": "How many?"}))["answer_json"] == {"n": 3}
    other = {"question": "How many?", "answer_schema": {"type": "array"}}
    assert content(await client.call_tool("formed", other))["answer_json"] == [3]


async def test_an_estimate_counts_the_schema_and_the_further_calls(client: Client) -> None:
    plain = content(await client.call_tool("moa_estimate", {"pipeline": "p"}))
    formed = content(await client.call_tool("moa_estimate", {"pipeline": "p", "answer_schema": SCHEMA}))
    assert (plain["calls"], formed["calls"]) == (2, 4)
    assert formed["prompt_tokens"]["expected"] > plain["prompt_tokens"]["expected"] + len(json.dumps(SCHEMA)) // 4
    assert formed["completion_tokens"]["max"] == 2 * plain["completion_tokens"]["max"]
    assert content(await client.call_tool("moa_estimate", {"pipeline": "formed"})) == {**formed, "pipeline": "formed"}
