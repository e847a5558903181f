from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from moa_mcp.errors import MissingKey
from moa_mcp.middleware import Shared, stack
from moa_mcp.routing import catalog
from moa_mcp.routing.local import Listing, Unlisted, models_at
from moa_mcp.routing.routes import ANY_KEY, Route, Routes, RouteState, remedy
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Target
from tests.support.byte_server import Bytes, serving_bytes
from tests.support.layers import call_of
from tests.support.model_server import ModelServer

pytestmark = pytest.mark.anyio

KEY = "sk-a-very-secret-0123456789"


async def no_server(_address: str, _key: str | None) -> Listing | None:
    return None


async def usable(*routes: Route, probe: Any = no_server, **environ: str) -> tuple[Target, ...]:
    return await Routes({"m": routes}, environ, probe).usable("m")


async def refusal(*routes: Route, probe: Any = no_server, **environ: str) -> str:
    with pytest.raises(MissingKey) as caught:
        await usable(*routes, probe=probe, **environ)
    return str(caught.value)


@pytest.fixture(scope="module")
def ollama() -> Iterator[ModelServer]:
    with ModelServer("llama3") as server:
        yield server


def nobody() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


AT_OPENAI = "https://api.openai.com/v1"
OPENAI, ANTHROPIC = Route(model="openai/x"), Route(model="anthropic/y")
OWN = Route(model="openai/z", api_base="http://gate:9/v1", api_key_env="GATE_KEY")


async def test_a_route_is_there_if_its_key_is_and_routes_keep_their_order() -> None:
    both = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}
    assert await usable(OPENAI, ANTHROPIC, **both) == (
        Target("openai/x", "openai", AT_OPENAI, KEY, wire_model="x"),
        Target("anthropic/y", "anthropic"),
    )
    assert await usable(ANTHROPIC, OPENAI, OPENAI_API_KEY=KEY) == (
        Target("openai/x", "openai", AT_OPENAI, KEY, wire_model="x"),
    )


async def test_a_model_without_any_key_names_the_variables_that_would_help() -> None:
    assert await refusal(OPENAI, ANTHROPIC, OWN) == (
        "no route can be used here; set OPENAI_API_KEY or ANTHROPIC_API_KEY or GATE_KEY"
    )


@pytest.mark.parametrize("empty", [{}, {"OPENAI_API_KEY": ""}])
async def test_an_empty_key_is_none(empty: Mapping[str, str]) -> None:
    assert await refusal(OPENAI, OPENAI, **empty) == "no route can be used here; set OPENAI_API_KEY"


async def test_a_model_without_routes_needs_a_provider() -> None:
    with pytest.raises(MissingKey) as caught:
        await Routes({}, {}).usable("m")
    assert str(caught.value) == f"no route can be used here; {ANY_KEY}"


@pytest.mark.parametrize(
    ("route", "environ", "samples"),
    [
        (OPENAI, {"OPENAI_API_KEY": KEY}, 128),
        (OPENAI, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://gate:9/v1"}, 1),
        (OWN, {"GATE_KEY": KEY}, 1),
        (OWN.model_copy(update={"n": 16}), {"GATE_KEY": KEY}, 16),
        (ANTHROPIC, {"ANTHROPIC_API_KEY": KEY}, 1),
        (Route(model="groq/x"), {"GROQ_API_KEY": KEY}, 1),
        (Route(model="vertex_ai/claude-x"), {"VERTEXAI_PROJECT": "p"}, 1),
        (Route(model="vertex_ai/gemini-x", n=1), {"VERTEXAI_PROJECT": "p"}, 1),
    ],
)
async def test_a_route_brings_so_many_answers_at_once_as_its_provider_is_known_for_or_it_says(
    route: Route, environ: dict[str, str], samples: int
) -> None:
    (target,) = await usable(route, **environ)
    assert target.samples == samples


async def test_a_key_of_its_own_is_the_only_one_that_a_route_takes() -> None:
    own = Route(model="openai/x", api_key_env="MY_KEY")
    assert await refusal(own, OPENAI_API_KEY=KEY) == "no route can be used here; set MY_KEY"
    assert await usable(own, MY_KEY="mine") == (Target("openai/x", "openai", AT_OPENAI, "mine", wire_model="x"),)


async def test_a_server_with_its_own_address_gets_its_own_key_or_none_and_never_another() -> None:
    gate = {"OPENAI_API_KEY": KEY, "GATE_KEY": "gate"}
    assert await usable(OWN, **gate) == (Target("openai/z", "openai", "http://gate:9/v1", "gate", wire_model="z"),)
    bare = Route(model="anthropic/y", api_base="http://gate:9/v1")
    assert await usable(bare, **gate) == (
        Target("openai/anthropic/y", "anthropic", "http://gate:9/v1", "none", wire_model="anthropic/y"),
    )


async def test_a_route_states_what_the_table_does_not_know() -> None:
    own = Route(model="openai/z", api_base="http://gate:9/v1", window=8192)
    (target,) = await usable(own)
    assert (target.window, target.price) == (8192, None)
    assert catalog.window_at(target) == 8192
    assert catalog.window_at(Target("openai/nobodys-model", "openai")) is None


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
async def test_another_address_for_openai_needs_no_key(variable: str) -> None:
    environ = {variable: "http://localhost:8000/v1/"}
    assert await usable(OPENAI, **environ) == (
        Target("openai/x", "openai", "http://localhost:8000/v1", "none", wire_model="x"),
    )
    with_key = await usable(OPENAI, OPENAI_API_KEY=KEY, **environ)
    assert with_key == (Target("openai/x", "openai", "http://localhost:8000/v1", KEY, wire_model="x"),)


WRITTEN = [
    ("http://gate:9/v1", "http://gate:9/v1"),
    ("http://gate:9/v1/", "http://gate:9/v1"),
    ("http://gate:9", "http://gate:9/v1"),
    ("http://gate:9/", "http://gate:9/v1"),
    (" http://gate:9/v1 ", "http://gate:9/v1"),
    ("http://gate:9//v1//", "http://gate:9/v1"),
    ("http://gate:9/v1/chat/completions", "http://gate:9/v1"),
    ("http://gate:9/v1/chat/completions/", "http://gate:9/v1"),
    ("http://gate:9/chat/completions", "http://gate:9/v1"),
    ("http://gate:9/v1/completions", "http://gate:9/v1"),
    ("http://gate:9/v1/models", "http://gate:9/v1"),
    ("http://gate:9/openai/v1", "http://gate:9/openai/v1"),
    ("https://gate/api/paas/v4/", "https://gate/api/paas/v4"),
    ("http://[::1]:9", "http://[::1]:9/v1"),
    ("https://openrouter.ai", "https://openrouter.ai/api/v1"),
    ("https://api.groq.com/", "https://api.groq.com/openai/v1"),
]


@pytest.mark.parametrize(("written", "asked"), WRITTEN)
async def test_an_address_may_be_written_in_any_of_the_usual_ways(written: str, asked: str) -> None:
    (own,) = await usable(Route(model="openai/x", api_base=written))
    (named,) = await usable(OPENAI, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=written)
    assert (own.api_base, named.api_base) == (asked, asked)


@pytest.mark.parametrize(
    "written",
    [
        "http://h:1",
        "http://h:1/",
        "http://h:1/v1/",
        "h:1",
        "h:1/v1",
        "http://h:1/api",
        "http://h:1/v1/chat/completions",
        "http://h:1/api/chat",
    ],
)
async def test_the_address_of_a_server_of_ones_own_may_be_its_name_alone_or_its_own_api(written: str) -> None:
    async def probe(address: str, _key: str | None) -> Listing | None:
        return ("m",) if address == "http://h:1/v1" else None

    (target,) = await usable(Route(model="ollama/m"), probe=probe, OLLAMA_API_BASE=written)
    assert target.api_base == "http://h:1/v1"


async def test_openais_own_address_without_its_path_is_still_its_own() -> None:
    (target,) = await usable(OPENAI, OPENAI_API_KEY=KEY, OPENAI_BASE_URL="https://api.openai.com")
    assert (target.api_base, target.samples) == (AT_OPENAI, 128)


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/x", "OPENAI_BASE_URL"),
        ("groq/x", "GROQ_API_BASE"),
        ("anthropic/x", "ANTHROPIC_API_BASE"),
        ("gemini/x", "GEMINI_API_BASE"),
        ("ollama/x", "OLLAMA_API_BASE"),
    ],
)
@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ftp://localhost:8000/v1", "that begins with http:// or https://"),
        ("http://[::1/v1", "with a host, such as http://127.0.0.1:8000/v1"),
        ("http:///v1", "with a host, such as http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:99999/v1", "with a port from 1 to 65535"),
        ("http://127.0.0.1:0/v1", "with a port from 1 to 65535"),
        ("http://me:secret@127.0.0.1:8000/v1", "without a user, password or query"),
        ("http://127.0.0.1:8000/v1?key=secret", "without a user, password or query"),
    ],
)
async def test_an_address_in_the_environment_that_is_none_says_so(
    model: str, variable: str, address: str, problem: str
) -> None:
    keys = {"OPENAI_API_KEY": KEY, "GROQ_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "GEMINI_API_KEY": KEY}
    wrong = {variable: address}
    assert await refusal(Route(model=model), **keys, **wrong) == (
        f"no route can be used here; set {variable} to an address {problem}"
    )


async def test_an_address_of_a_provider_without_a_scheme_says_so() -> None:
    assert await refusal(OPENAI, OPENAI_API_KEY=KEY, OPENAI_BASE_URL="localhost:8000/v1") == (
        "no route can be used here; set OPENAI_BASE_URL to an address that begins with http:// or https://"
    )


async def test_openais_own_address_needs_a_key() -> None:
    environ = {"OPENAI_BASE_URL": "https://api.openai.com/v1"}
    assert await refusal(OPENAI, **environ) == "no route can be used here; set OPENAI_API_KEY"
    assert await usable(OPENAI, OPENAI_API_KEY=KEY, **environ) == (
        Target("openai/x", "openai", AT_OPENAI, KEY, wire_model="x"),
    )


async def test_a_bare_name_belongs_to_the_provider_that_litellm_lists_it_under() -> None:
    bare = Route(model="gpt-4o-mini")
    assert await usable(bare, OPENAI_API_KEY=KEY) == (
        Target("gpt-4o-mini", "openai", AT_OPENAI, KEY, wire_model="gpt-4o-mini"),
    )


async def test_a_local_server_that_answers_is_a_route_with_or_without_v1_in_its_address(ollama: ModelServer) -> None:
    route = Route(model="ollama/llama3")
    expected = (Target("openai/llama3", "ollama", ollama.url, "none", wire_model="llama3"),)
    for address in (ollama.url, f"{ollama.url}/", ollama.url.removesuffix("/v1")):
        assert await usable(route, probe=models_at, OLLAMA_API_BASE=address) == expected


async def test_a_local_server_that_does_not_answer_is_to_be_started() -> None:
    address = nobody()
    said = await refusal(Route(model="ollama/llama3"), OPENAI, probe=models_at, OLLAMA_API_BASE=address)
    assert said == f"no route can be used here; set OPENAI_API_KEY, or start Ollama at {address}/v1"


async def test_a_local_server_is_looked_for_at_its_usual_port() -> None:
    asked: list[str] = []

    async def probe(address: str, _key: str | None) -> Listing | None:
        asked.append(address)
        return ("m",) if address.endswith(":1234/v1") else None

    names = ("ollama", "hosted_vllm", "llamafile", "lm_studio")
    routes = Routes({name: (Route(model=f"{name}/m"),) for name in names}, {}, probe)
    found = [state.target for name in names for state in await routes.states(name)]
    assert found == [
        None,
        None,
        None,
        Target("openai/m", "lm_studio", "http://127.0.0.1:1234/v1", "none", wire_model="m"),
    ]
    assert [address.rpartition(":")[2] for address in asked] == ["11434/v1", "8000/v1", "8080/v1", "1234/v1"]


async def test_a_local_server_is_not_asked_at_every_call_but_again_after_a_while() -> None:
    asked: list[str] = []

    async def probe(address: str, _key: str | None) -> Listing | None:
        asked.append(address)
        return ("m",)

    class Forgetful(Routes):
        FRESH_S = -1.0

    for kind, times in ((Routes, 1), (Forgetful, 3)):
        asked.clear()
        routes = kind({"m": (Route(model="ollama/m"),)}, {}, probe)
        for _ in range(3):
            await routes.usable("m")
        assert len(asked) == times


async def test_a_local_server_that_wants_a_key_says_what_is_missing() -> None:
    locked = Route(model="ollama/m", api_key_env="LOCK")
    assert await refusal(locked) == "no route can be used here; set LOCK"
    address = "http://127.0.0.1:11434/v1"
    assert await refusal(locked, LOCK="open") == f"no route can be used here; start Ollama at {address}"


@pytest.mark.parametrize(
    "address",
    ["localhost", "127.0.0.1:11434", "http://", "http://[::1", "http://127.0.0.1:114340", "http://\0/"],
)
async def test_an_address_that_is_none_is_a_server_that_does_not_answer(address: str) -> None:
    assert not await models_at(address)


async def test_a_web_page_is_no_model_server_and_says_so(ollama: ModelServer) -> None:
    assert await models_at(ollama.url)
    elsewhere = ollama.url.removesuffix("/v1")
    assert await models_at(elsewhere) == Unlisted("answers HTTP 404")
    said = await refusal(Route(model="ollama/llama3"), probe=models_at, OLLAMA_API_BASE=f"{ollama.url}/v1")
    assert said == (f"no route can be used here; start Ollama at {ollama.url}/v1 (what is there answers HTTP 404)")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("body", ["no JSON", "[]", '{"data": "llama3"}', '{"data": [1]}', '{"models": []}', "7"])
async def test_an_answer_that_is_no_list_of_models_is_said_to_be_none(body: str) -> None:
    async with serving_bytes() as server:
        base = server.script("v1", Bytes([body.encode()], 200, {"Content-Type": "application/json"}))
        assert await models_at(base) == Unlisted("answers with something else than a list of models")


async def test_a_local_server_with_a_key_is_called_with_it_and_without_it_names_the_variable() -> None:
    route = Route(model="hosted_vllm/m")
    with ModelServer("m", api_key=KEY) as locked:
        for key in ({}, {"HOSTED_VLLM_API_KEY": "sk-another"}):
            said = await refusal(route, probe=models_at, HOSTED_VLLM_API_BASE=locked.url, **key)
            assert said == (
                f"no route can be used here; set HOSTED_VLLM_API_KEY to a key that vLLM at {locked.url} accepts "
                "(it answers HTTP 401)"
            )
        environ = {"HOSTED_VLLM_API_BASE": locked.url, "HOSTED_VLLM_API_KEY": KEY}
        (target,) = await usable(route, probe=models_at, **environ)
        assert target.api_key == KEY
        assert await Routes({}, environ, models_at).local_models() == {"hosted_vllm": ("m",)}


async def test_a_name_of_a_model_that_no_request_can_have_is_left_out() -> None:
    with ModelServer("m", "  ", "two\nlines", "esc\x1b[31m") as server:
        assert await models_at(server.url) == ("m",)


async def test_no_key_is_in_any_text_that_a_route_an_error_or_a_call_has() -> None:
    environ = {"OPENAI_API_KEY": KEY, "GATE_KEY": KEY, "ANTHROPIC_API_KEY": ""}
    routes = Routes({"m": (OPENAI, OWN, ANTHROPIC), "n": (ANTHROPIC,)}, environ)
    states = await routes.states("m")
    model = ScriptedModel()
    await stack(model, routes.usable, Shared(), lambda _: None)(call_of("m"))
    assert model.calls[0].target == Target("openai/x", "openai", AT_OPENAI, KEY, wire_model="x")
    texts = [*map(repr, states), *map(str, states), remedy(states), repr(model.calls), str(OWN), repr(routes)]
    assert not [text for text in texts if KEY in text]


def test_a_routes_text_is_its_model_and_address() -> None:
    assert (str(OPENAI), str(OWN)) == ("openai/x", "openai/z at http://gate:9/v1")


def test_what_a_route_lacks_is_said_once() -> None:
    states = [RouteState(OPENAI, None, "OPENAI_API_KEY"), RouteState(OPENAI, None, "OPENAI_API_KEY")]
    assert remedy(states) == "set OPENAI_API_KEY"


@pytest.mark.parametrize(
    ("command", "model"),
    [
        ("claude", "command/claude"),
        (("claude", "--model", "opus"), "command/claude/opus"),
        (("/opt/bin/my-model", "-v", "--model=small"), "command/my-model/small"),
        (("claude", "--model"), "command/claude"),
    ],
)
def test_a_program_is_named_with_the_model_that_its_arguments_choose(command: Any, model: str) -> None:
    route = Route.model_validate({"command": command})
    assert (route.model, str(route), route.provider, route.transport) == (model, model, "command", "command")


def test_a_preset_can_be_written_like_a_model() -> None:
    assert Route(model="command/codex") == Route.model_validate({"command": "codex"})


def test_recorded_routes_of_this_version_and_of_earlier_ones_can_be_read() -> None:
    written = {"command": ["my-model", "--json"], "output": {"json": "a.0"}, "env": ["A"], "window": 4096}
    route = Route.model_validate(written)
    assert Route.model_validate_json(route.model_dump_json(by_alias=True)) == route
    earlier = '{"model": "openai/x", "api_base": null, "api_key_env": null, "usd_per_million": null, "window": null}'
    assert Route.model_validate_json(earlier) == Route(model="openai/x")


@pytest.mark.parametrize(
    ("model", "transport"),
    [
        ("groq/x", "openai"),
        ("ollama/x", "openai"),
        ("veniceai/x", "openai"),
        ("sarvam/x", "litellm"),
        ("anthropic/x", "litellm"),
        ("no-such-provider/x", "litellm"),
    ],
)
def test_a_route_goes_over_the_openai_wire_where_its_provider_speaks_it(model: str, transport: str) -> None:
    assert Route(model=model).transport == transport
    assert Route(model=model, api_base="http://gate:9/v1").transport == "openai"


async def test_a_hosts_address_and_key_are_those_of_the_environment_as_litellm_has_it() -> None:
    groq, venice = Route(model="groq/x"), Route(model="veniceai/x")
    at_gate = {"GROQ_API_KEY": KEY, "GROQ_API_BASE": "http://gate:9/groq/"}
    assert await usable(groq, **at_gate) == (Target("groq/x", "groq", "http://gate:9/groq", KEY, wire_model="x"),)
    assert await refusal(venice, VENICEAI_API_KEY=KEY) == "no route can be used here; set VENICE_AI_API_KEY"
    (target,) = await usable(venice, VENICE_AI_API_KEY=KEY)
    assert (target.api_base, target.api_key) == ("https://api.venice.ai/api/v1", KEY)


async def test_a_host_without_an_address_of_its_own_says_where_that_is_missing() -> None:
    gateway = Route(model="litellm_proxy/x", api_key_env="GATE_KEY")
    assert await refusal(gateway, GATE_KEY="gate") == "no route can be used here; set LITELLM_PROXY_API_BASE"
