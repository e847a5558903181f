"""The shipped pipelines from end to end: the official client over stdio, the server, models over HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import mcp_types as types
import pytest
from mcp import Client

from tests.support.model_server import ModelServer, Received
from tests.support.nursery import Nursery
from tests.support.served import served_file
from tests.support.serving import content, parameters, text

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
    "council": {1: 4, 2: 4, 3: 1},
    "fusion": {1: 4, 2: 1, 3: 1},
    "cascade": {1: 2, 2: 1, 3: 4, 4: 1},
    "verdict": {1: 5},
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
async def client(
    models: ModelServer, tmp_path_factory: pytest.TempPathFactory, nursery: Nursery
) -> AsyncIterator[Client]:
    config: Path = served_file(models.url, tmp_path_factory.mktemp("config"))
    keys = {"OPENROUTER_API_KEY": "key", "OPENROUTER_API_BASE": models.url}  # for panels
    async with Client(
        parameters("--config", str(config), nursery=nursery, **keys), read_timeout_seconds=30, cache=None
    ) as client:
        yield client


class Asked(NamedTuple):
    """A question that a pipeline answered, what the models received, and the trace page by page."""

    pipeline: str
    result: types.CallToolResult
    requests: tuple[Received, ...]
    pages: list[dict[str, Any]]

    @property
    def data(self) -> dict[str, Any]:
        return content(self.result)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [call for page in self.pages for call in page["calls"]]


@pytest.fixture(scope="module", params=CALLS)
async def asked(request: pytest.FixtureRequest, client: Client, models: ModelServer) -> Asked:
    models.clear()
    result = await client.call_tool(request.param, QUESTION)
    requests = models.requests
    run = {"run_id": content(result)["run_id"]}
    first = content(await client.call_tool("moa_trace", run))
    others = range(2, first["pages"] + 1)
    pages = [first, *[content(await client.call_tool("moa_trace", {**run, "page": number})) for number in others]]
    return Asked(request.param, result, requests, pages)


def said(model: str, messages: object) -> str:
    return json.dumps([model.removeprefix("openrouter/").removeprefix("openai/"), messages])


def answered(call: dict[str, Any]) -> str:
    """Return the model that answered a call; what was refused on the way stands in the trace too."""
    return str(call["attempts"][-1]["completion"]["model"])


async def test_every_layer_makes_its_calls_and_no_others(asked: Asked) -> None:
    assert Counter(call["step"] for call in asked.calls) == CALLS[asked.pipeline]
    assert [request.finished for request in asked.requests] == [True] * sum(CALLS[asked.pipeline].values())


async def test_every_prompt_that_a_model_received_is_in_the_trace(asked: Asked) -> None:
    received = Counter(said(request.model, request.body["messages"]) for request in asked.requests)
    assert received == Counter(said(answered(call), call["messages"]) for call in asked.calls)


async def test_a_run_is_a_resource_that_shows_the_same(asked: Asked, client: Client) -> None:
    for number, page in enumerate(asked.pages, 1):
        (found,) = (await client.read_resource(f"moa://runs/{asked.data['run_id']}/{number}")).contents
        assert isinstance(found, types.TextResourceContents)
        assert json.loads(found.text) == page


async def test_the_answer_comes_as_text_and_as_data(asked: Asked) -> None:
    assert (asked.result.is_error, asked.data["status"], asked.data["pipeline"]) == (False, "complete", asked.pipeline)
    assert asked.data["answer"].startswith("yes: " if asked.pipeline == "verdict" else "answer ")
    ending = f"\n\n[{asked.pipeline}, run {asked.data['run_id']}, complete: {len(asked.calls)} calls in "
    assert text(asked.result).startswith(asked.data["answer"] + ending)
    assert {layer["step"]: layer["answered"] for layer in asked.data["layers"]} == CALLS[asked.pipeline]


async def test_the_data_is_what_the_tool_promises(asked: Asked, client: Client) -> None:
    tools = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
    jsonschema.Draft202012Validator(tools.get(asked.pipeline, tools["moa_wait"])).validate(asked.data)
    jsonschema.Draft202012Validator(tools["moa_trace"]).validate(asked.pages[0])


async def test_the_result_is_what_the_last_model_wrote_and_a_vote_is_verbatim(asked: Asked) -> None:
    if asked.pipeline == "verdict":
        assert asked.data["answer"].endswith(" says so.")
        return
    last = asked.calls[0] if asked.pipeline == "vote" else asked.calls[-1]
    assert asked.data["answer"] == last["text"]


async def test_the_question_its_context_and_the_callers_instructions_reach_every_model(asked: Asked) -> None:
    for request in asked.requests:
        system, user = request.body["messages"]
        assert system["content"].startswith("Be brief.")
        assert user["content"].startswith("Is a hot dog a sandwich?")
        assert "The cube rule of food." in user["content"]
