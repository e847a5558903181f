"""The form of a verdict, asked for by schema over both transports where a model is known to keep to one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from moa_mcp.middleware import Model
from moa_mcp.providers.backend import Backend
from moa_mcp.providers.litellm.client import LiteLLM
from moa_mcp.providers.openai.client import OpenAICompatible
from moa_mcp.routing import catalog
from moa_mcp.runs import Runs
from moa_mcp.steps.prompts import asked_form, vote_schema
from moa_mcp.values import Call, Message, Place, Question, Target
from tests.support.journals import config_of
from tests.support.model_server import Body, ModelServer, Reply
from tests.support.starting import start_run

pytestmark = pytest.mark.anyio

KNOWN, UNKNOWN = "openai/gpt-4o-mini", "openai/our-own"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["openai", "litellm"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Model]:
    wire, litellm = OpenAICompatible(), LiteLLM()
    yield wire if request.param == "openai" else litellm
    await wire.close()


@pytest.fixture
def models(serving: ModelServer) -> Iterator[ModelServer]:
    serving.clear()
    yield serving
    for model in ("gpt-4o-mini", "our-own"):
        serving.script(model)


def to(transport: Model, url: str, model: str) -> Target:
    wire_model = model.partition("/")[2] if isinstance(transport, OpenAICompatible) else None
    return Target(model, "openai", url, "sk-x", wire_model=wire_model)


def call_to(target: Target) -> Call:
    messages = (Message("user", "Which?"),)
    return Call("run", Place(1, 1), "judge", messages, {}, 1, target=target, reply_schema=vote_schema(3))


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_model_that_is_known_to_take_a_schema_is_sent_it(
    transport: Model, models: ModelServer, streamed: bool
) -> None:
    models.script("gpt-4o-mini", Reply('{"key": "x", "answer": 2}'))
    call = call_to(to(transport, models.url, KNOWN))
    completion = await transport(call._replace(on_text=(lambda _: None) if streamed else None))
    assert completion.text == '{"key": "x", "answer": 2}'
    (request,) = models.requests
    assert request.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "vote", "strict": True, "schema": json.loads(vote_schema(3).json_schema)},
    }


async def test_nothing_is_sent_where_that_is_not_known_or_no_form_is_wanted(
    transport: Model, models: ModelServer
) -> None:
    models.script("gpt-4o-mini", Reply("So."))
    models.script("our-own", Reply("So."))
    await transport(call_to(to(transport, models.url, UNKNOWN)))
    await transport(call_to(to(transport, models.url, KNOWN))._replace(reply_schema=None))
    assert ["response_format" in request.body for request in models.requests] == [False, False]


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("openai/gpt-4o-mini", True),
        ("anthropic/claude-sonnet-4-5", True),
        ("gemini/gemini-2.5-flash", True),
        ("groq/llama-3.1-8b-instant", False),
        ("ollama/llama3.1", False),
        ("lm_studio/gpt-4o-mini", False),
        ("openai/our-own", False),
        ("simulated/gpt-4o-mini", False),
    ],
)
def test_litellms_table_says_which_models_take_one(model: str, takes: bool) -> None:
    assert catalog.takes_schema(Target(model, model.partition("/")[0])) == takes


@pytest.mark.parametrize(
    ("judge", "field", "said"),
    [
        ('{ step = "vote", agent = "z" }', "answer", 2),
        ('{ step = "rank", agent = "z", n = 1 }', "ranking", [2, 1, 3]),
    ],
)
async def test_a_judge_of_a_run_is_asked_for_its_verdict_by_schema_and_in_words(
    models: ModelServer, judge: str, field: str, said: Any
) -> None:
    def verdict(body: Body) -> str:
        form = asked_form(body["messages"][0]["content"])
        assert form is not None
        assert form.field == field
        return json.dumps({"key": form.key, field: said})

    models.script("gpt-4o-mini", Reply(verdict))
    wire = OpenAICompatible()

    async def usable(alias: str) -> tuple[Target, ...]:
        return (to(wire, models.url, KNOWN if alias == "z" else f"openai/{alias}"),)

    config = config_of('{ step = "propose", agents = ["a", "b", "c"] }', judge)
    runs = Runs(config, Backend(wire, lambda _: usable))
    async with runs.open():
        run = await start_run(runs, config.pipelines["p"], Question("Why?"), seed=0)
        await run.ended.wait()
    await wire.close()
    assert (run.trace.status, run.trace.answer) == ("complete", "answer 1 from b")
    schemas: list[Any] = [request.body.get("response_format") for request in models.requests]
    assert [schema is not None for schema in schemas] == [False, False, False, True]
    assert field in schemas[-1]["json_schema"]["schema"]["required"]
