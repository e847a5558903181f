"""`cascade` and `verdict` as an agent calls them, over stdio and HTTP, with models on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.support.model_server import ModelServer, Reply
from tests.support.nursery import Nursery
from tests.support.served import served_file
from tests.support.serving import ServerProcess, content, parameters, text

pytestmark = pytest.mark.anyio

FAST = {"openai/gpt-6-luna": "gpt-6-luna", "anthropic/claude-haiku-5.5": "claude-haiku-5-5"}
BALANCED = {
    "anthropic/claude-sonnet-5.5": "claude-sonnet-5-5",
    "openai/gpt-5.6-terra": "gpt-5.6-terra",
    "google/gemini-3.8-flash": "gemini-3.8-flash",
    "mistralai/mistral-medium-3-5": "mistral-medium-3-5",
    "x-ai/grok-4.3": "grok-4.3",
}
"""The members of panels with a key of OpenRouter: their names there, and those of moa-mcp."""
LUNA, HAIKU = FAST
NAMES = [*BALANCED.values()]
QUESTION = {"question": "Is 17 a prime number?"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(params=["stdio", "http"])
async def client(
    request: pytest.FixtureRequest, models: ModelServer, tmp_path: Path, nursery: Nursery
) -> AsyncIterator[Client]:
    config = str(served_file(models.url, tmp_path))
    async with AsyncExitStack() as stack:
        if request.param == "http":
            served = ServerProcess(
                *("--http", "--port", "0", "--config", config),
                nursery=nursery,
                OPENROUTER_API_KEY="key",
                OPENROUTER_API_BASE=models.url,
            )
            peer: Any = stack.enter_context(served).url
        else:
            peer = parameters(
                "--config", config, nursery=nursery, OPENROUTER_API_KEY="key", OPENROUTER_API_BASE=models.url
            )
        yield await stack.enter_async_context(Client(peer, read_timeout_seconds=20, cache=None))


async def test_a_cascade_ends_with_two_cheap_answers_that_a_judge_finds_equivalent(
    client: Client, models: ModelServer
) -> None:
    models.script(LUNA, Reply("Yes, 17 is prime."), Reply('{"equivalent": true}'))
    models.script(HAIKU, Reply("It is."))
    result = await client.call_tool("cascade", QUESTION)
    data = content(result)
    assert (data["status"], data["answer"], data["saved_calls"]) == ("complete", "Yes, 17 is prime.", 5)
    assert (data["agreement"]["of"], data["agreement"]["verdict"]) == ("judge", "equivalent")
    assert [request.model for request in models.requests][2:] == [LUNA]
    assert "- agree: the run ended early: 2 steps not needed, 5 calls saved" in text(result)
    trace = content(await client.call_tool("moa_trace", {"run_id": data["run_id"]}))
    assert trace["planned"] == ["propose", "agree", "propose", "aggregate"]
    assert trace["not_needed"] == ["propose", "aggregate"]
    forked = content(await client.call_tool("moa_fork", {"run_id": data["run_id"], "step": 3}))
    assert (forked["status"], forked["saved_calls"]) == ("complete", 0)
    assert len(models.requests) == 3 + 4 + 1


async def test_a_cascade_asks_the_panel_if_the_cheap_answers_differ(client: Client, models: ModelServer) -> None:
    models.script(LUNA, Reply("Yes."), Reply('{"equivalent": false}'))
    models.script(HAIKU, Reply("No."))
    result = await client.call_tool("cascade", QUESTION)
    data = content(result)
    assert (data["status"], data["agreement"]["verdict"], len(models.requests)) == ("complete", "not equivalent", 8)
    aggregated = str(models.requests[-1].body["messages"])
    assert "Yes." in aggregated
    assert "No." in aggregated
    assert f"- agree: went on: {FAST[LUNA]} finds that the 2 answers are not equivalent" in text(result)


async def test_a_verdict_has_the_votes_and_the_reasons_of_both_sides(client: Client, models: ModelServer) -> None:
    said = ["Verdict: Yes\nReason: It has two divisors.\nConfidence: 90"] * 3
    said += [
        "**Verdict: no**\nReason: It is odd.\nConfidence: 30",
        "Verdict: unsure\nReason: I can't count.\nConfidence: 20%",
    ]
    for model, reply in zip(BALANCED, said, strict=True):
        models.script(model, Reply(reply))
    result = await client.call_tool("verdict", QUESTION)
    data = content(result)
    first, *reasons = data["answer"].split("\n\n")
    assert first == "yes: yes 3, no 1, unsure 1 of 5 votes; stated confidence 90 of 100, not calibrated"
    assert reasons == [
        f"yes ({', '.join(NAMES[:3])}): It has two divisors.",
        f"no ({NAMES[3]}): It is odd.",
        f"unsure ({NAMES[4]}): I can't count.",
    ]
    agreed = data["agreement"]
    assert data["status"] == "complete"
    assert (agreed["value"], agreed["count"], agreed["total"], agreed["verdict"]) == ("yes", 3, 5, "majority")
    assert (agreed["confidence"], agreed["interval"], agreed["says"]) == (90, [0.231, 0.882], "It has two divisors.")
    assert [(each["value"], each["members"], each["says"]) for each in data["dissent"]] == [
        ("no", [NAMES[3]], "It is odd."),
        ("unsure", [NAMES[4]], "I can't count."),
    ]
    assert f"- dissent: no ({NAMES[3]}): It is odd." in text(result)
    assert all("Confidence: N" in str(request.body["messages"]) for request in models.requests)


async def test_a_verdict_without_a_majority_is_unsure(client: Client, models: ModelServer) -> None:
    for model, word in zip(BALANCED, ["yes", "yes", "no", "no", "unsure"], strict=True):
        models.script(model, Reply(f"Verdict: {word}\nReason: {word} it is.\nConfidence: 50"))
    data = content(await client.call_tool("verdict", QUESTION))
    assert data["status"] == "degraded"
    assert data["answer"].startswith("unsure: tie, yes 2, no 2, unsure 1 of 5 votes\n\nyes (")
    assert (data["agreement"]["value"], data["agreement"]["verdict"]) == (None, "tie")


HALF = """
[models.m]
routes = [{{ model = "openai/m", api_base = "{url}" }}]

[pipelines.counted]
description = "Three answers and a report of their values. For tests."
steps = [
    {{ step = "propose", agents = [{{ model = "m", samples = 3 }}] }},
    {{ step = "analyze", agent = "m" }},
    {{ step = "vote", method = "majority", extract = {{ json = "v" }}, report = true }},
]
"""


async def test_half_a_character_in_what_models_say_ends_no_server(
    models: ModelServer, tmp_path: Path, nursery: Nursery
) -> None:
    config = tmp_path / "pipelines.toml"
    config.write_text(HALF.format(url=models.url), "utf-8")
    models.script("m", Reply(r'{"v": "a\ud83d", "consensus": [{"point": "b\ud83d", "answers": [1]}]}'))
    async with Client(
        parameters("--config", str(config), nursery=nursery), read_timeout_seconds=20, cache=None
    ) as client:
        data = content(await client.call_tool("counted", QUESTION))
    assert data["agreement"]["value"] == "a\ufffd"
    assert data["analysis"]["consensus"][0]["point"] == "b\ufffd"
    assert data["answer"].startswith("a\ufffd: a\ufffd 3 of 3 votes")


async def test_a_report_shortens_long_values(models: ModelServer, tmp_path: Path, nursery: Nursery) -> None:
    config = tmp_path / "pipelines.toml"
    config.write_text(HALF.format(url=models.url), "utf-8")
    models.script("m", Reply(f'{{"v": "{"long " * 1000}", "consensus": ["x"]}}'))
    async with Client(
        parameters("--config", str(config), nursery=nursery), read_timeout_seconds=20, cache=None
    ) as client:
        data = content(await client.call_tool("counted", QUESTION))
    head, line = data["answer"].split("\n\n")
    assert head.startswith("long long ")
    assert head.endswith(f"{'long ' * 31}long… 3 of 3 votes")
    assert len(line) < 400
