"""Models chosen for one run: who answers and who aggregates, over MCP and at the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client

from tests.cli.test_cli import environ, run
from tests.panels.test_resolving import NO_SERVERS, at
from tests.support.model_server import ModelServer
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
    environ: dict[str, str], models: ModelServer, config: str, options: list[str], expected: list[str]
) -> None:
    done = run(at(models, environ), "--config", config, "ask", "one", "Why?", "--json", *options)
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
        ("count", ["--aggregator", "a"], "aggregator: count ends with propose, which has no agent"),
    ],
)
def test_a_model_that_can_not_be_chosen_is_explained(
    environ: dict[str, str], models: ModelServer, config: str, pipeline: str, options: list[str], fault: str
) -> None:
    done = run(at(models, environ), "--config", config, "ask", pipeline, "Why?", *options)
    assert done.returncode == 2
    assert fault in " ".join(done.stderr.split())
    assert asked(models) == []


def test_an_estimate_is_of_the_chosen_models(environ: dict[str, str], models: ModelServer, config: str) -> None:
    done = run(at(models, environ), "--config", config, "ask", "one", "Why?", "--estimate", "--json", "--models", "c,d")
    steps = json.loads(done.stdout)["steps"]
    assert [[each["model"] for each in step["models"]] for step in steps] == [["c", "d"], ["c", "d"], ["a"]]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("names", ["c, d", ["c", "d"], '["c", "d"]'])
async def test_an_agent_chooses_the_models_of_a_call(models: ModelServer, config: str, names: object) -> None:
    server = parameters("--config", config, **{**NO_SERVERS, "OLLAMA_API_BASE": models.url})
    async with Client(server, read_timeout_seconds=20, cache=None) as client:
        arguments = {"question": "Why?", "models": names, "aggregator": "b"}
        answered = await client.call_tool("one", arguments)
        refused = await client.call_tool("one", {"question": "Why?", "models": "nobody"})
        estimated = await client.call_tool("moa_estimate", {"pipeline": "one", "models": names})
    assert content(answered)["status"] == "complete"
    assert sorted(asked(models)) == ["b", "c", "c", "d", "d"]
    assert (refused.is_error, "'nobody' is not a model or panel" in text(refused)) == (True, True)
    assert "c" in text(estimated)
