"""Panels and stand-ins as users meet them: who answers, and what the command, the tools and the trace say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp import Client

from moa_mcp.config import shipped
from tests.cli.test_cli import environ
from tests.support.model_server import ModelServer, Status
from tests.support.nursery import Nursery
from tests.support.serving import parameters, text

__all__ = ["environ"]

NOBODY = "http://127.0.0.1:9/v1"
NO_SERVERS = {f"{name}_API_BASE": NOBODY for name in ("OLLAMA", "LM_STUDIO", "HOSTED_VLLM", "LLAMAFILE")}
PANEL = """
[pipelines.one]
description = "For the test."
steps = [
    { step = "propose", agents = { panel = "balanced", members = 3, temperature = 0.2 } },
    { step = "aggregate", agent = { panel = "strong" }, fallback_agent = { panel = "strong" } },
]
"""


@pytest.fixture
def ollama() -> Iterator[ModelServer]:
    with ModelServer("llama3.3:70b", "nomic-embed-text:latest", "qwen3:8b") as server:
        yield server


def at(server: ModelServer, environ: dict[str, str]) -> dict[str, str]:
    """Return the environment of a user whose only model server is this one."""
    return {**environ, **NO_SERVERS, "OLLAMA_API_BASE": server.url}


def written(folder: Path, *tables: str) -> str:
    path = folder / "own.toml"
    path.write_text("\n".join(tables), "utf-8")
    return str(path)


def checked(nursery: Nursery, environ: dict[str, str], config: str, *names: str) -> Any:
    return json.loads(nursery.run("--config", config, "check", "--json", *names, environ=environ).stdout)


def test_a_local_server_answers_with_its_chat_models_and_the_result_says_for_whom(
    environ: dict[str, str], ollama: ModelServer, nursery: Nursery
) -> None:
    done = nursery.run(
        "--config", str(shipped()), "ask", "vote", "Why is the sky blue?", "--json", environ=at(ollama, environ)
    )
    trace = json.loads(done.stdout)
    assert {each.model for each in ollama.requests if each.model} == {"llama3.3:70b", "qwen3:8b"}
    assert [note for note in trace["notes"] if "is the stand-in for claude-sonnet-4-5" in note]


def test_members_of_a_panel_have_the_settings_of_its_table(
    environ: dict[str, str], ollama: ModelServer, tmp_path: Path, nursery: Nursery
) -> None:
    done = nursery.run(
        "--config", written(tmp_path, PANEL), "ask", "one", "Why?", "--json", environ=at(ollama, environ)
    )
    assert json.loads(done.stdout)["status"] == "complete", done.stderr
    bodies = [each.body for each in ollama.requests if each.body]
    assert sorted((body["model"], body["temperature"]) for body in bodies) == [
        ("llama3.3:70b", 0.2),
        ("llama3.3:70b", 0.2),
        ("llama3.3:70b", 0.7),
        ("qwen3:8b", 0.2),
    ]


def test_a_parameter_that_a_model_lacks_is_not_sent(
    environ: dict[str, str], ollama: ModelServer, tmp_path: Path, nursery: Nursery
) -> None:
    routes = f'[models.m]\nroutes = [{{ model = "openai/m", api_base = "{ollama.url}", lacks = ["temperature"] }}]'
    steps = "[pipelines.one]\nsteps = [{ step = 'propose', agents = ['m'], temperature = 0.5, max_tokens = 9 }]"
    done = nursery.run("--config", written(tmp_path, routes, steps), "ask", "one", "Why?", "--json", environ=environ)
    (body,) = [each.body for each in ollama.requests if each.body]
    assert ("temperature" in body, body["max_tokens"]) == (False, 9)
    assert "openai/m does not take temperature; left out" in json.loads(done.stdout)["notes"]


def test_a_dead_aggregator_does_not_cost_the_run(
    environ: dict[str, str], ollama: ModelServer, tmp_path: Path, nursery: Nursery
) -> None:
    ollama.script("llama3.3:70b", Status(401, "no"))
    done = nursery.run(
        "--config", written(tmp_path, PANEL), "ask", "one", "Why?", "--json", environ=at(ollama, environ)
    )
    trace = json.loads(done.stdout)
    assert (trace["status"], trace["answer"]) == ("degraded", "answer 2 from qwen3:8b"), done.stderr
    assert "asked qwen3:8b in place of llama3.3:70b" in " ".join(trace["notes"])


def test_without_stand_ins_a_model_without_a_route_is_unavailable(
    environ: dict[str, str], tmp_path: Path, nursery: Nursery
) -> None:
    config = written(tmp_path, "[panels]\nstand_ins = false", shipped().read_text("utf-8"))
    with ModelServer("qwen3:8b") as ollama:
        done = nursery.run("--config", config, "ask", "vote", "Why?", environ=at(ollama, environ))
        assert not [each for each in ollama.requests if each.body]
    assert done.returncode == 3
    assert "To run it, set OPENROUTER_API_KEY" in done.stderr


@pytest.mark.parametrize(
    ("settings", "route"),
    [
        ("exclude = ['Meta']", "ollama/qwen3:8b"),
        ("exclude = ['QWEN3:8B']", "ollama/llama3.3:70b"),
        ("local = 'never'", None),
    ],
)
def test_makers_models_and_local_servers_can_be_excluded(
    environ: dict[str, str], ollama: ModelServer, tmp_path: Path, settings: str, route: str | None, nursery: Nursery
) -> None:
    config = written(tmp_path, f"[panels]\n{settings}", PANEL)
    (one,) = checked(nursery, at(ollama, environ), config)["pipelines"]
    assert {each["route"] and each["route"].partition(" at ")[0] for each in one["models"]} == {route}


def test_check_names_the_stand_ins(environ: dict[str, str], ollama: ModelServer, nursery: Nursery) -> None:
    (refine,) = checked(nursery, at(ollama, environ), str(shipped()), "refine")["pipelines"]
    models = {each["model"]: each["stand_in"] for each in refine["models"]}
    assert models["llama-3.1-8b"] in {"qwen3:8b", "llama3.3:70b"}
    shown = nursery.run("--config", str(shipped()), "check", "refine", environ=at(ollama, environ)).stdout
    (row,) = [line.split() for line in shown.splitlines() if line.startswith("llama-3.1-8b")]
    assert row[1] == models["llama-3.1-8b"]


def test_check_shows_the_command_that_loads_a_missing_model(
    environ: dict[str, str], ollama: ModelServer, tmp_path: Path, nursery: Nursery
) -> None:
    config = written(tmp_path, "[pipelines.one]", "steps = [{ step = 'propose', agents = ['ollama/llama3.1:8b'] }]")
    (one,) = checked(nursery, at(ollama, environ), config)["pipelines"]
    assert (one["ready"], one["models"][0]["missing"]) == (False, "run ollama pull llama3.1:8b")


def test_a_route_that_has_ended_is_skipped_with_the_reason(
    environ: dict[str, str], tmp_path: Path, nursery: Nursery
) -> None:
    routes = "[models.old]\nroutes = ['azure/o1', 'azure/gpt-6-luna']"
    config = written(tmp_path, routes, "[pipelines.one]", "steps = [{ step = 'propose', agents = ['old'] }]")
    keys = {"AZURE_API_KEY": "x", "AZURE_API_BASE": "https://azure.invalid"}
    (one,) = checked(nursery, {**environ, **NO_SERVERS, **keys}, config)["pipelines"]
    assert one["models"][0]["route"] == "azure/gpt-6-luna"
    assert [each["message"] for each in one["warnings"] if each["place"] == "models.old"] == [
        "skips azure/o1, which ended on 2026-11-19"
    ]


def test_check_warns_once_of_a_model_that_ends_soon_and_says_what_follows(
    environ: dict[str, str], nursery: Nursery
) -> None:
    at_google = {**environ, **NO_SERVERS, "GEMINI_API_KEY": "x"}
    shown = " ".join(nursery.run("--config", str(shipped()), "check", environ=at_google).stdout.split())
    warning = 'models."gemini-2.5-flash": gemini/gemini-2.5-flash ends on 2026-12-01, in '
    assert shown.count(warning) <= 1
    assert (warning in shown) == (datetime.now(UTC).date() < date(2026, 12, 1))


def test_a_model_that_its_provider_ended_may_be_served_at_another_address(
    environ: dict[str, str], tmp_path: Path, nursery: Nursery
) -> None:
    alias = "[models.old]\nroutes = ['openai/gpt-3.5-turbo-1106']\nstand_in = 'balanced'"
    config = written(tmp_path, alias, "[pipelines.one]", "steps = [{ step = 'propose', agents = ['old'] }]")
    keys = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "http://gateway.invalid/v1"}
    (one,) = checked(nursery, {**environ, **NO_SERVERS, **keys}, config)["pipelines"]
    assert [each["message"] for each in one["warnings"] if each["place"] == "models.old"] == [
        "openai/gpt-3.5-turbo-1106 ended at its provider on 2026-09-28; another server may still have it"
    ]


def test_the_reason_why_no_model_can_answer_is_an_address_or_an_exclusion_if_there_is_a_key(
    environ: dict[str, str], tmp_path: Path, nursery: Nursery
) -> None:
    key = {**environ, **NO_SERVERS, "OPENAI_API_KEY": "x"}
    excluded = written(tmp_path, "[panels]\nexclude = ['OpenAI']", PANEL)
    reason = "shorten exclude in [panels], which leaves no model that can be called here"
    assert f"To run it, {reason}." in nursery.run("--config", excluded, "ask", "one", "Why?", environ=key).stderr
    (one,) = checked(nursery, key, excluded)["pipelines"]
    assert {each["missing"] for each in one["models"]} == {reason}
    wrong = {**key, "OPENAI_BASE_URL": "http://127.0.0.1:99999/v1"}
    reason = "set OPENAI_BASE_URL to an address with a port from 1 to 65535"
    config = written(tmp_path, PANEL)
    assert f"To run it, {reason}." in nursery.run("--config", config, "ask", "one", "Why?", environ=wrong).stderr
    (one,) = checked(nursery, wrong, config)["pipelines"]
    assert {each["missing"] for each in one["models"]} == {reason}
    assert f"- {reason}\n" in nursery.run("init", "--print", environ=wrong).stderr


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("{ panel = 'best' }", "'best' is not a panel; the panels are fast, balanced, strong, reasoning"),
        ("{ panel = 'fast', members = 0 }", "members = 0 should be a whole number from 1 to 20"),
        ("{ panel = 'fast', members = 'two' }", "members = 'two' should be a whole number from 1 to 20"),
        ("{ panel = 'fast', model = 'x' }", "a panel chooses its models; remove model"),
    ],
)
def test_a_wrong_panel_is_explained(
    environ: dict[str, str], tmp_path: Path, table: str, fault: str, nursery: Nursery
) -> None:
    config = written(tmp_path, "[pipelines.one]", f"steps = [{{ step = 'propose', agents = {table} }}]")
    done = nursery.run("--config", config, "check", environ=environ)
    assert done.returncode == 2
    assert f"pipelines.one, step 1, agents: {fault}" in done.stderr


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_tools_of_a_server_say_which_models_answer(ollama: ModelServer, nursery: Nursery) -> None:
    server = parameters("--config", str(shipped()), nursery=nursery, **{**NO_SERVERS, "OLLAMA_API_BASE": ollama.url})
    async with Client(server, read_timeout_seconds=20, cache=None) as client:
        tools = {tool.name: tool.description or "" for tool in (await client.list_tools()).tools}
        answered = await client.call_tool("vote", {"question": "Why is the sky blue?"})
    assert tools["vote"].endswith("Now qwen3:8b, llama3.3:70b.")
    assert tools["self_moa"].endswith("Now llama3.3:70b.")  # the other model is only its fallback
    assert not answered.is_error, text(answered)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_without_keys_says_that_no_pipeline_can_run_and_what_helps(nursery: Nursery) -> None:
    server = parameters("--config", str(shipped()), nursery=nursery, **NO_SERVERS)
    async with Client(server, read_timeout_seconds=20, cache=None) as client:
        instructions = client.instructions or ""
        tools = [tool.description or "" for tool in (await client.list_tools()).tools]
    assert "No pipeline can run yet. Tell the user to set an API key" in instructions
    assert sum(description.startswith("NOT READY") for description in tools) == 11


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_starts_with_a_wrong_address_in_the_environment_and_says_so(nursery: Nursery) -> None:
    wrong = {**NO_SERVERS, "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "http://[::1/v1"}
    server = parameters("--config", str(shipped()), nursery=nursery, **wrong)
    async with Client(server, read_timeout_seconds=20, cache=None) as client:
        instructions = client.instructions or ""
        answered = await client.call_tool("vote", {"question": "Why is the sky blue?"})
    assert "Tell the user to set OPENAI_BASE_URL to an address with a host" in instructions
    assert answered.is_error
    assert "set OPENAI_BASE_URL to an address with a host" in text(answered)


@pytest.mark.parametrize(
    ("word", "warning"),
    [
        (
            "Mistrall",
            "'Mistrall' is neither a model of panels nor a maker, so it has no effect; did you mean 'Mistral'?",
        ),
        ("no-such-maker", "'no-such-maker' is neither a model of panels nor a maker, so it has no effect"),
        ("OPENAI", None),
        ("hf.co/somebody/model:q4", None),
    ],
)
def test_an_exclusion_without_effect_is_a_warning(
    environ: dict[str, str], tmp_path: Path, word: str, warning: str | None, nursery: Nursery
) -> None:
    path = written(tmp_path, f"[panels]\nexclude = ['{word}']", PANEL)
    (one,) = checked(nursery, environ | NO_SERVERS, path)["pipelines"]
    found = [each["message"] for each in one["warnings"] if each["place"] == "panels.exclude"]
    assert found == ([warning] if warning else [])


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("table", "variables", "missing"),
    [
        ("", {}, "set an API key, such as OPENROUTER_API_KEY"),
        ('panels.exclude = ["openai"]', {"OPENAI_API_KEY": "x"}, "shorten exclude in [panels], which leaves no model"),
        ("", {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "htp:/x"}, "set OPENAI_BASE_URL"),
    ],
    ids=["no key", "all excluded", "wrong address"],
)
async def test_the_resource_of_a_pipeline_says_what_its_panel_lacks(
    tmp_path: Path, table: str, variables: dict[str, str], missing: str, nursery: Nursery
) -> None:
    step = '{ step = "propose", agents = { panel = "balanced", members = 1 } }'
    config = written(tmp_path, table, f"pipelines.one.steps = [{step}]")
    server = parameters("--config", config, "--journal", "none", nursery=nursery, **{**NO_SERVERS, **variables})
    async with Client(server, read_timeout_seconds=20) as client:
        (found,) = (await client.read_resource("moa://pipelines/one")).contents
    assert isinstance(found, types.TextResourceContents)
    described = json.loads(found.text)
    (said,) = described["missing"].values()
    assert not described["runs_here"]
    assert said.startswith(missing)
