"""The shipped pipelines from end to end: the official client over stdio, the server, models over HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import mcp_types as types
import pytest
from mcp import Client

from tests.model_server import ModelServer
from tests.served import served_file
from tests.serving import content, parameters, text

pytestmark = pytest.mark.anyio

CALLS = {
    "together_moa": {1: 6, 2: 6, 3: 6, 4: 1},
    "moa_lite": {1: 6, 2: 6, 3: 1},
    "moa_gpt5": {1: 6, 2: 6, 3: 6, 4: 1},
    "self_moa": {1: 6, 2: 1},
    "self_moa_seq": {1: 3, 2: 1, 3: 3, 4: 1},
    "robust_moa": {1: 4, 4: 1},
    "rank_aggregate": {1: 5, 2: 1, 3: 1},
    "vote": {1: 3, 2: 1},
    "refine": {1: 3, 2: 3, 3: 1},
    "together_moa_paper": {1: 6, 2: 6, 3: 1},
    "moa_lite_paper": {1: 6, 2: 1},
    "self_moa_seq_paper": {1: 6, 2: 1, 3: 3, 4: 1, 5: 3, 6: 1},
}
"""By pipeline: how many calls each step makes, those that make none left out."""
QUESTION = {"question": "Is a hot dog a sandwich?", "context": "The cube rule of food.", "system": "Be brief."}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
async def client(models: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    config: Path = served_file(models.url, tmp_path_factory.mktemp("config"))
    async with Client(parameters("--config", str(config)), read_timeout_seconds=30, cache=None) as client:
        yield client


async def traced(client: Client, run_id: str) -> list[dict[str, Any]]:
    """Return a run's trace, page after page."""
    first = content(await client.call_tool("moa_trace", {"run_id": run_id}))
    others = range(2, first["pages"] + 1)
    return [
        first,
        *[content(await client.call_tool("moa_trace", {"run_id": run_id, "page": number})) for number in others],
    ]


async def read(client: Client, uri: str) -> Any:
    (found,) = (await client.read_resource(uri)).contents
    assert isinstance(found, types.TextResourceContents)
    return json.loads(found.text)


def said(model: str, messages: object) -> str:
    return json.dumps([model.removeprefix("openai/"), messages])


def answered(call: dict[str, Any]) -> str:
    """Return the model that answered a call; what was refused on the way stands in the trace too."""
    return str(call["attempts"][-1]["completion"]["model"])


@pytest.mark.parametrize("pipeline", CALLS)
async def test_a_pipeline_asks_its_layers_and_shows_every_prompt_that_went_out(
    client: Client, models: ModelServer, pipeline: str
) -> None:
    models.clear()
    result = await client.call_tool(pipeline, QUESTION)
    requests = models.requests
    run_id = content(result)["run_id"]
    pages = await traced(client, run_id)
    calls = [call for page in pages for call in page["calls"]]

    assert Counter(call["step"] for call in calls) == CALLS[pipeline]
    assert Counter(said(request.model, request.body["messages"]) for request in requests) == Counter(
        said(answered(call), call["messages"]) for call in calls
    )
    assert [await read(client, f"moa://runs/{run_id}/{number}") for number in range(1, len(pages) + 1)] == pages


@pytest.mark.parametrize("pipeline", CALLS)
async def test_a_pipeline_returns_its_answer_as_text_and_as_the_data_it_promised(
    client: Client, models: ModelServer, pipeline: str
) -> None:
    models.clear()
    result = await client.call_tool(pipeline, QUESTION)
    schema = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}[pipeline]
    data = content(result)

    jsonschema.Draft202012Validator(schema).validate(data)
    assert (result.is_error, data["status"], data["pipeline"]) == (False, "complete", pipeline)
    assert data["answer"].startswith("answer ")
    assert text(result).startswith(f"{data['answer']}\n\n[{pipeline}, run {data['run_id']}, complete: ")
    assert {layer["step"]: layer["answered"] for layer in data["layers"]} == CALLS[pipeline]
    assert sum(request.finished for request in models.requests) == sum(CALLS[pipeline].values())


async def test_the_last_answer_of_an_aggregate_is_the_result_and_a_vote_is_verbatim(
    client: Client, models: ModelServer
) -> None:
    models.clear()
    aggregated = await client.call_tool("together_moa", QUESTION)
    assert content(aggregated)["answer"] == "answer 4 from qwen1.5-110b-chat"

    models.clear()
    voted = await client.call_tool("vote", QUESTION)
    first = (await traced(client, content(voted)["run_id"]))[0]["calls"][0]
    assert content(voted)["answer"] == first["text"] == "answer 1 from gpt-5-nano-2025-08-07"


async def test_the_question_its_context_and_the_callers_instructions_reach_every_model(
    client: Client, models: ModelServer
) -> None:
    models.clear()
    await client.call_tool("together_moa", QUESTION)
    for request in models.requests:
        system, user = request.body["messages"]
        assert system["content"].startswith("Be brief.")
        assert user["content"].startswith("Is a hot dog a sandwich?")
        assert "The cube rule of food." in user["content"]
