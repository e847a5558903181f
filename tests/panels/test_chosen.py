"""Models chosen for one run: who answers and who aggregates, over MCP and at the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client

from tests.cli.test_cli import environ
from tests.panels.test_resolving import NO_SERVERS, at
from tests.support.model_server import ModelServer, Status
from tests.support.nursery import Nursery
from tests.support.serving import content, parameters, text

__all__ = ["environ"]


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer("llama3.3:70b", "qwen3:8b") as server:
        yield server


@pytest.fixture
def config(models: ModelServer, tmp_path: Path) -> str:
    aliases = [f'{name}.routes = [{{ model = "openai/{name}", api_base = "{models.url}" }}]' for name in "abcd"]
    steps = [
        '{ step = "propose", agents = ["a", "b", "b"], quorum = 3, temperature = 0.3 }',
        '{ step = "synthesize", agents = ["a", "b"] }',
        '{ step = "aggregate", agent = "a" }',
    ]
    counted = '{ step = "propose", agents = ["a", "b"] }, { step = "vote", method = "majority" }'
    tables = ["[models]", *aliases, "[pipelines.one]", f"steps = [{', '.join(steps)}]"]
    path = tmp_path / "chosen.toml"
    path.write_text("\n".join([*tables, "[pipelines.count]", f"steps = [{counted}]"]), "utf-8")
    return str(path)


def asked(server: ModelServer) -> list[str]:
    return [each.model for each in server.requests if each.body and each.model]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--models", "c,d"], ["c", "d", "c", "d", "a"]),
        (["--models", "c"], ["c", "c", "a"]),
        (["--aggregator", "d"], ["a", "b", "b", "a", "b", "d"]),
        (["--models", "c", "--aggregator", "d"], ["c", "c", "d"]),
        (["--models", "d, fast:2", "--aggregator", "fast"], ["d", "fast", "fast", "d", "fast", "fast", "fast"]),
        (["--models", "balanced"], ["fast", "fast", "fast", "fast", "fast", "a"]),
    ],
)
def test_the_models_of_one_run_are_those_that_its_options_name(
    environ: dict[str, str], models: ModelServer, config: str, options: list[str], expected: list[str], nursery: Nursery
) -> None:
    done = nursery.run("--config", config, "ask", "one", "Why?", "--json", *options, environ=at(models, environ))
    assert json.loads(done.stdout)["status"] == "complete", done.stderr
    local = {"llama3.3:70b": "fast", "qwen3:8b": "fast"}
    assert sorted(local.get(model, model) for model in asked(models)) == sorted(expected)


@pytest.mark.parametrize(
    ("pipeline", "options", "fault"),
    [
        ("one", ["--models", "e"], "'e' is not a model or panel of the configuration"),
        ("one", ["--models", "openai/gpt-6-luna"], "'openai/gpt-6-luna' is not a model or panel of the configuration"),
        ("one", ["--models", "fast:21"], "fast:21 has no valid number of members"),
        ("one", ["--aggregator", "balancd"], "did you mean 'balanced'?"),
        ("one", ["--models", " , "], "--models names no model"),
        ("one", ["--aggregator", ""], "--aggregator names no model"),
        ("count", ["--aggregator", "a"], "aggregator: no model of count merges or judges the answers"),
    ],
)
def test_a_model_that_can_not_be_chosen_is_explained(
    environ: dict[str, str],
    models: ModelServer,
    config: str,
    pipeline: str,
    options: list[str],
    fault: str,
    nursery: Nursery,
) -> None:
    done = nursery.run("--config", config, "ask", pipeline, "Why?", *options, environ=at(models, environ))
    assert done.returncode == 2
    assert fault in " ".join(done.stderr.split())
    assert asked(models) == []


def test_an_estimate_is_of_the_chosen_models(
    environ: dict[str, str], models: ModelServer, config: str, nursery: Nursery
) -> None:
    done = nursery.run(
        "--config", config, "ask", "one", "Why?", "--estimate", "--json", "--models", "c,d", environ=at(models, environ)
    )
    steps = json.loads(done.stdout)["steps"]
    assert [[each["model"] for each in step["models"]] for step in steps] == [["c", "d"], ["c", "d"], ["a"]]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("names", ["c, d", ["c", "d"], '["c", "d"]'])
async def test_an_agent_chooses_the_models_of_a_call(
    models: ModelServer, config: str, names: object, nursery: Nursery
) -> None:
    server = parameters("--config", config, nursery=nursery, **{**NO_SERVERS, "OLLAMA_API_BASE": models.url})
    async with Client(server, read_timeout_seconds=20, cache=None) as client:
        arguments = {"question": "Why?", "models": names, "aggregator": "b"}
        answered = await client.call_tool("one", arguments)
        refused = await client.call_tool("one", {"question": "Why?", "models": "nobody"})
        estimated = await client.call_tool("moa_estimate", {"pipeline": "one", "models": names})
    assert content(answered)["status"] == "complete"
    assert sorted(asked(models)) == ["b", "c", "c", "d", "d"]
    assert (refused.is_error, "'nobody' is not a model or panel" in text(refused)) == (True, True)
    assert "c" in text(estimated)


LIMITED = """
[models]
cheap.routes = [{ model = "openai/cheap", api_base = "URL", usd_per_million = { prompt = 0.1, completion = 0.1 } }]
dear.routes = [{ model = "openai/dear", api_base = "URL", usd_per_million = { prompt = 1, completion = 1000 } }]
unknown.routes = [{ model = "openai/unknown", api_base = "URL" }]
[budget]
LIMIT
[pipelines.one]
steps = [
    { step = "propose", agents = ["cheap", "cheap"], max_tokens = 2000 },
    { step = "aggregate", agent = "cheap", max_tokens = 2000 },
]
"""


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("limit", "choice", "refused"),
    [
        ("confirm_above_usd = 0.5", {"models": "dear"}, "confirmation required"),
        ("confirm_above_usd = 0.5", {"aggregator": "dear"}, "confirmation required"),
        ("max_cost_usd = 0.01", {"models": "dear"}, "max_cost_usd"),
        ("max_cost_usd = 0.01", {"models": "dear", "max_cost_usd": 50}, "max_cost_usd"),
        ("max_cost_usd_per_day = 0.01", {"aggregator": "dear"}, "max_cost_usd_per_day"),
        ('unpriced = "refuse"', {"models": "cheap,unknown"}, "the price of unknown is not known"),
    ],
)
async def test_no_choice_of_models_passes_the_limits_of_the_operator(
    models: ModelServer, tmp_path: Path, limit: str, choice: dict[str, object], refused: str, nursery: Nursery
) -> None:
    path = tmp_path / "limited.toml"
    path.write_text(LIMITED.replace("URL", models.url).replace("LIMIT", limit), "utf-8")
    server = parameters("--config", str(path), nursery=nursery, **NO_SERVERS)
    async with Client(server, read_timeout_seconds=20, cache=None) as client:
        answered = await client.call_tool("one", {"question": "Why?"})
        models.clear()
        rejected = await client.call_tool("one", {"question": "Why?", **choice})
    assert content(answered)["status"] == "complete"
    assert refused in text(rejected)
    assert "dear" not in asked(models)
    assert "unknown" not in asked(models)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_run_with_chosen_models_resumes_and_forks_with_them(
    models: ModelServer, config: str, nursery: Nursery
) -> None:
    server = parameters("--config", config, nursery=nursery, **NO_SERVERS)
    models.script("d", Status(401, "Incorrect API key provided."))
    async with Client(server, read_timeout_seconds=20, cache=None) as client:
        failed = await client.call_tool("one", {"question": "Why?", "models": "c", "aggregator": "d"})
        models.script("d")
        models.clear()
        run = {"run_id": content(failed)["run_id"]}
        resumed = await client.call_tool("moa_resume", run)
        called = [asked(models)]
        models.clear()
        await client.call_tool("moa_fork", {**run, "step": 2})
        trace = content(await client.call_tool("moa_trace", run))
    assert (content(failed)["status"], content(resumed)["status"]) == ("failed", "complete")
    assert [*called, asked(models)] == [["d"], ["c", "d"]]
    assert [(call["step"], call["agent"]) for call in trace["calls"]] == [(1, "c"), (2, "c"), (3, "d")]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_progress_counts_the_calls_of_the_chosen_models(
    models: ModelServer, config: str, nursery: Nursery
) -> None:
    told: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        del message
        told.append((progress, total))

    async with Client(
        parameters("--config", config, nursery=nursery, **NO_SERVERS), read_timeout_seconds=20, cache=None
    ) as client:
        await client.call_tool("one", {"question": "Why?", "models": "c"}, progress_callback=note)
    assert {total for _, total in told} == {3}
    assert told[-1] == (3, 3)
