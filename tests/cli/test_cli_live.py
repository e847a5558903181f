"""`moa-mcp check --live` and `--ping`, against providers on loopback."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from moa_mcp.routing.listings import ListAddress, ListedModels, ListFailed, listings
from tests.cli.test_cli import POSIX, Terminal, environ, invoke
from tests.support import list_server
from tests.support.list_server import ListServer
from tests.support.model_server import ModelServer, RefuseParameter, Reply, Status
from tests.support.nursery import Nursery

__all__ = ["environ"]

KEY = "Zx8kW2pLq0vB"
NO_KEYS: Mapping[str, str | None] = {"OPENAI_API_KEY": None, "ANTHROPIC_API_KEY": None, "GROQ_API_KEY": None}


def configured(tmp_path: Path, **routes: str) -> str:
    """Write a configuration whose pipeline calls an alias for each route, given as TOML; return its path."""
    path = tmp_path / "pipelines.toml"
    models = "\n".join(f"models.{alias}.routes = [{route}]" for alias, route in routes.items())
    names = json.dumps(list(routes))
    steps = f'steps = [{{ step = "propose", agents = {names} }}, {{ step = "take", n = 1 }}]'
    path.write_text(f'{models}\npipelines.one = {{ description = "x", {steps} }}', "utf-8")
    return str(path)


def live(config: str, *args: str, **environ: str) -> dict[str, Any]:
    done = invoke("check", "--live", "--json", *args, "--config", config, **{**NO_KEYS, **environ})
    assert done.exit_code == (0 if json.loads(done.stdout)["fine"] else 1)
    assert KEY not in done.output
    return dict(json.loads(done.stdout))


def by_model(data: Mapping[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Return what is said of each model: whether it is listed, and the name in the list or the nearest."""
    routes = data["live"]["routes"]
    return {each["model"]: (each["live"], each["listed_as"] or each["nearest"]) for each in routes}


SHAPES: Sequence[tuple[str, list_server.Shape, str, str, Mapping[str, str], str, str]] = [
    (
        "openai",
        list_server.openai("gpt-6-luna", "gpt-6-terra", "text-embedding-9", key=KEY),
        "openai/GPT-6-Luna",
        "openai/gpt-5-luna",
        {"OPENAI_BASE_URL": "/v1", "OPENAI_API_KEY": KEY},
        "gpt-6-luna",
        "gpt-6-luna",
    ),
    (
        "anthropic",
        list_server.anthropic("claude-opus-5", "claude-sonnet-5-5", "claude-haiku-4-5-20251001", key=KEY),
        "anthropic/claude-haiku-4-5",
        "anthropic/claude-3-5-haiku-20241022",
        {"ANTHROPIC_BASE_URL": "", "ANTHROPIC_API_KEY": KEY},
        "claude-haiku-4-5-20251001",
        "claude-haiku-4-5-20251001",
    ),
    (
        "gemini",
        list_server.gemini("gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.5-pro-001", key=KEY),
        "gemini/gemini-3.5-pro",
        "gemini/gemini-1.5-pro",
        {"GEMINI_API_BASE": "", "GEMINI_API_KEY": KEY},
        "gemini-3.5-pro-001",
        "gemini-3.5-pro-001",
    ),
    (
        "openrouter",
        list_server.openrouter(
            ("anthropic/claude-opus-5", "anthropic/claude-opus-5-20261001"), ("openai/gpt-6-luna", "openai/gpt-6-luna")
        ),
        "openrouter/anthropic/claude-opus-5:floor",
        "openrouter/anthropic/claude-3-opus:free",
        {"OPENROUTER_API_BASE": "/api/v1", "OPENROUTER_API_KEY": KEY},
        "anthropic/claude-opus-5",
        "anthropic/claude-opus-5",
    ),
    (
        "together",
        list_server.together("Qwen/Qwen3.8-Max", "deepseek-ai/DeepSeek-V4"),
        "together_ai/Qwen/Qwen3.8-Max",
        "together_ai/Qwen/Qwen2.5-Max-Turbo",
        {"TOGETHER_AI_API_BASE": "/v1", "TOGETHERAI_API_KEY": KEY},
        "Qwen/Qwen3.8-Max",
        "Qwen/Qwen3.8-Max",
    ),
]


@pytest.mark.parametrize(
    ("name", "shape", "living", "dead", "variables", "listed", "near"), SHAPES, ids=[each[0] for each in SHAPES]
)
def test_a_living_model_is_listed_and_a_dead_one_has_the_nearest(
    name: str,
    shape: list_server.Shape,
    living: str,
    dead: str,
    variables: Mapping[str, str],
    listed: str,
    near: str,
    tmp_path: Path,
) -> None:
    config = configured(tmp_path, living=f'"{living}"', dead=f'"{dead}"')
    with ListServer(**{name: shape}) as server:
        environ = {key: value if value == KEY else server.url(name, value) for key, value in variables.items()}
        data = live(config, **environ)
        strict = live(config, "--strict", **environ)
    assert by_model(data) == {"living": ("listed", listed), "dead": ("not listed", near)}
    assert [data["fine"], strict["fine"]] == [True, False]
    (warning,) = data["pipelines"][0]["warnings"]
    assert warning["place"] == "models.dead"
    assert warning["message"].endswith(f"nearest: {near}")


def test_all_pages_of_a_list_are_read_and_each_provider_is_requested_once(tmp_path: Path) -> None:
    names = [f"claude-{n}" for n in range(5)]
    routes = {f"m{n}": f'"anthropic/claude-{n}"' for n in range(5)}
    with ListServer(anthropic=list_server.anthropic(*names, key=KEY)) as server:
        data = live(
            configured(tmp_path, **routes), ANTHROPIC_API_BASE=server.url("anthropic", ""), ANTHROPIC_API_KEY=KEY
        )
        assert server.paths("anthropic") == ["/v1/models"] * 3
    assert set(by_model(data).values()) == {("listed", name) for name in names}
    assert data["live"]["providers"][0]["models"] == 5


def test_an_ollama_server_lists_a_model_without_its_tag(tmp_path: Path) -> None:
    with ListServer(ollama=list_server.ollama("qwen3:8b", "llama3.1:latest")) as server:
        config = configured(tmp_path, a='"ollama/llama3.1"', b='"ollama/qwen3:8b"')
        data = live(config, OLLAMA_API_BASE=server.url("ollama"))
    assert by_model(data) == {"a": ("listed", "llama3.1:latest"), "b": ("listed", "qwen3:8b")}


def test_programs_and_clouds_with_other_keys_are_said_to_have_no_list(tmp_path: Path) -> None:
    config = configured(tmp_path, program='{ command = ["cat"] }', cloud='"azure/gpt-6"')
    data = live(config, "--strict", AZURE_API_KEY=KEY, AZURE_API_BASE="http://127.0.0.1:9")
    assert by_model(data) == {"program": ("can't be listed", None), "cloud": ("can't be listed", None)}


def test_a_failing_provider_has_its_remedy_and_does_not_stop_the_others(tmp_path: Path) -> None:
    shapes: dict[str, list_server.Shape] = {
        "a": list_server.openai("a"),
        "key": list_server.openai("b", key="another"),
        "many": list_server.failing(429),
        "server": list_server.failing(503),
        "page": list_server.page,
        "none": list_server.failing(404),
        "other": list_server.failing(400),
        "text": lambda _: list_server.Body({"models": "none"}),
    }
    with ListServer(**shapes) as server:
        routes = {
            name: f'{{ model = "openai/{name}", api_base = "{server.url(name)}", api_key_env = "MY_API_KEY" }}'
            for name in shapes
        } | {"gone": '{ model = "openai/gone", api_base = "http://127.0.0.1:9/v1" }'}
        data = live(configured(tmp_path, **routes), MY_API_KEY=KEY)
        shown = invoke("check", "--live", "--config", configured(tmp_path, **routes), MY_API_KEY=KEY, COLUMNS="200")
    unknown = dict.fromkeys(routes, ("unknown", None))
    assert by_model(data) == unknown | {"a": ("listed", "a")}
    problems = [f"{each['problem']}; {each['remedy']}" for each in data["live"]["providers"]]
    assert [re.sub(r"http[^\s;]+", "URL", each) for each in problems] == [
        "; ",
        "rejects the key (HTTP 401); set MY_API_KEY to a valid key",
        "had too many requests (HTTP 429); try again later",
        "failed (HTTP 503); try again later",
        "answered with something else than a list of models at URL; check the address",
        "has no list of models at URL (HTTP 404); check the address",
        "rejects the request at URL (HTTP 400); check the address",
        "answered with something else than a list of models at URL; check the address",
        "can't be reached at URL; check the network and the address",
    ]
    assert [each["message"] for each in data["pipelines"][0]["warnings"]] == [
        "rejects the key (HTTP 401); set MY_API_KEY to a valid key"
    ]
    assert "rejects the key (HTTP 401); set MY_API_KEY to a valid key" in shown.output
    assert KEY not in shown.output


@pytest.mark.anyio
async def test_a_provider_that_does_not_answer_is_given_up_and_the_others_are_listed() -> None:
    with ListServer(hangs=None, works=list_server.openai("m")) as server:
        hangs, works = (ListAddress(name, f"{server.url(name)}/models") for name in ("hangs", "works"))
        with anyio.fail_after(5):
            found = await listings([hangs, works, works], timeout_s=0.5)
        assert found[works] == ListedModels(("m",))
        assert found[hangs] == ListFailed(f"did not answer within 0.5 s at {hangs.url}", "try again later")
        assert len(server.paths("works")) == 1


def test_the_table_of_live_routes_fits_80_columns(tmp_path: Path) -> None:
    with ListServer(openai=list_server.openai("gpt-6-luna-with-a-rather-long-name-2026-10-10")) as server:
        config = configured(
            tmp_path, dead='"openai/gpt-5-luna-with-a-rather-long-name"', program='{ command = ["cat"] }'
        )
        address = server.url("openai")
        shown = invoke("check", "--live", "--config", config, OPENAI_BASE_URL=address, OPENAI_API_KEY=KEY, COLUMNS="80")
    assert shown.exit_code == 0
    tables = shown.output.partition("list of models")[2].partition("warning")[0].splitlines()
    assert max(map(len, tables)) <= 80
    assert "".join("".join(tables).split()).count("notlisted") == 1
    assert "nearest:" in shown.output
    assert "can't be listed" in shown.output
    assert "1 warning" in shown.output


@pytest.mark.parametrize("option", ["--live", "--ping"])
def test_requests_are_refused_for_simulated_models(option: str) -> None:
    refused = invoke("check", option, "--offline")
    assert refused.exit_code == 2
    assert f"{option} can't be used with --offline" in refused.stderr


def test_without_a_usable_route_nothing_is_requested(tmp_path: Path) -> None:
    config = configured(tmp_path, m='{ model = "openai/m", api_key_env = "NO_SUCH_KEY" }')
    shown = invoke("check", "--live", "--ping", "--config", config)
    assert shown.exit_code == 0
    assert shown.output.count("No route is usable") == 2


def routes_of(server: ModelServer, *names: str) -> dict[str, str]:
    price = "usd_per_million = { prompt = 1, completion = 2 }"
    return {name: f'{{ model = "openai/{name}", api_base = "{server.url}", {price} }}' for name in names}


def test_ping_makes_one_call_for_each_route_and_shows_its_cost(tmp_path: Path) -> None:
    with ModelServer() as server:
        server.script("b", Reply("", reasoning_tokens=16, finish_reason="length"))
        server.script("c", RefuseParameter("max_tokens"))
        routes = routes_of(server, "a", "b", "c")
        routes["same"] = routes["a"]
        routes["unpriced"] = f'{{ model = "openai/unpriced", api_base = "{server.url}" }}'
        config = configured(tmp_path, **routes)
        done = invoke("check", "--ping", "--yes", "--json", "--config", config)
        asked = [each.body for each in server.requests if each.body]
    ping = json.loads(done.stdout)["ping"]
    assert done.exit_code == 0
    assert sorted(each["model"] for each in asked) == ["a", "b", "c", "c", "unpriced"]
    assert {each.get("max_tokens", each.get("max_completion_tokens")) for each in asked} == {16}
    calls = {each["route"]: each for each in ping["routes"]}
    assert all(each["answered"] for each in calls.values())
    assert calls["openai/a"]["models"] == ["a", "same"]
    used = calls["openai/a"]
    assert used["cost_usd"] == pytest.approx((used["prompt_tokens"] + 2 * used["completion_tokens"]) / 1e6)
    assert calls["openai/b"]["completion_tokens"] == 17
    assert calls["openai/unpriced"]["cost_usd"] is None
    assert (ping["calls"], ping["cost_usd"]) == (4, None)
    assert ping["known_cost_usd"] == pytest.approx(sum(each["cost_usd"] or 0 for each in ping["routes"]))


def test_a_route_that_does_not_answer_is_a_warning_and_is_not_called_again(tmp_path: Path) -> None:
    with ModelServer() as server:
        server.script("bad", Status(401, f"Incorrect API key provided: {KEY}"))
        server.script("busy", Status(503, "overloaded"))
        config = configured(tmp_path, **routes_of(server, "good", "bad", "busy"))
        options = ("check", "--ping", "--yes", "--strict", "--config", config)
        shown = invoke(*options, COLUMNS="80", SOME_KEY=KEY)
        asked = [each.model for each in server.requests if each.model]
    assert shown.exit_code == 1
    assert sorted(asked) == ["bad", "busy", "good"]
    words = " ".join(shown.output.split())
    assert "models.bad: does not answer" in words
    assert "set a valid key with access to the model" in words
    assert "models.busy: does not answer" in words
    assert re.search(r"3 calls for \$0\.\d+ in all\.", words)
    assert KEY not in shown.output


def test_ping_without_a_terminal_needs_yes(tmp_path: Path) -> None:
    with ModelServer() as server:
        refused = invoke("check", "--ping", "--config", configured(tmp_path, **routes_of(server, "a", "b")))
        asked = [each for each in server.requests if each.body]
    assert refused.exit_code == 2
    assert re.search(r"confirmation required: 2 calls, at most \$0\.\d+ in all\n", refused.stderr)
    assert "Add --yes" in refused.stderr
    assert asked == []


@POSIX
@pytest.mark.parametrize(("reply", "code", "calls"), [("y\n", 0, 1), ("n\n", 1, 0)])
def test_ping_at_a_terminal_starts_once_the_cost_is_confirmed(
    environ: dict[str, str], nursery: Nursery, tmp_path: Path, reply: str, code: int, calls: int
) -> None:
    with ModelServer() as server:
        config = configured(tmp_path, **routes_of(server, "a"))
        terminal = Terminal(environ, "check", "--ping", "--config", config, nursery=nursery)
        terminal.until("Make these calls?")
        terminal.type(reply)
        assert terminal.until_end() == code
        assert len([each for each in server.requests if each.body]) == calls
