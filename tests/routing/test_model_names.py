"""A name in a provider's list, as people and providers spell it."""

from __future__ import annotations

import pytest

from moa_mcp.routing.listings import ListAddress, ListedModels, ListFailed, list_address, listings
from moa_mcp.routing.model_names import listed_as, nearest
from moa_mcp.routing.routes import Route, Routes
from tests.support.list_server import Asked, Body, ListServer

KEY = "Zx8kW2pLq0vB"


@pytest.mark.parametrize(
    ("name", "names", "listed"),
    [
        ("GPT-6", ["gpt-6"], "gpt-6"),
        ("claude-haiku-4-5", ["claude-haiku-4-5-20251001"], "claude-haiku-4-5-20251001"),
        ("claude-haiku-4-5", ["claude-haiku-4-5-20251001", "claude-haiku-4-5-20261001"], "claude-haiku-4-5-20261001"),
        ("claude-haiku-4-5-20251001", ["claude-haiku-4-5"], "claude-haiku-4-5"),
        ("gpt-4o-2024-05-13", ["gpt-4o", "gpt-4o-2024-11-20"], None),
        ("grok-4", ["grok-4-0709"], "grok-4-0709"),
        ("gemini-3-pro", ["gemini-3-pro-001"], "gemini-3-pro-001"),
        ("gemini-3", ["gemini-3-pro"], None),
        ("command-r-08-2024", ["command-r"], "command-r"),
        ("mistral-small-2409", ["mistral-small-2603"], None),
        ("mistral-large-latest", ["mistral-large-2612"], "mistral-large-2612"),
        ("~anthropic/claude-opus-latest", ["anthropic/claude-opus-5"], "anthropic/claude-opus-5"),
        ("~anthropic/claude-opus-latest", ["anthropic/claude-sonnet-5"], None),
        ("llama3.1", ["llama3.1:latest"], "llama3.1:latest"),
        ("qwen/qwen3:nitro", ["qwen/qwen3"], "qwen/qwen3"),
        ("qwen/qwen3:free", ["qwen/qwen3"], None),
        ("qwen/qwen3:free", ["qwen/qwen3:free"], "qwen/qwen3:free"),
        ("anything", [], None),
    ],
)
def test_a_name_matches_other_spellings_of_the_same_model(name: str, names: list[str], listed: str | None) -> None:
    assert listed_as(name, ListedModels(tuple(names))) == listed


def test_an_alias_of_a_listed_model_is_listed_but_not_suggested() -> None:
    models = ListedModels(("mistral-small-2603",), frozenset({"mistral-tiny"}))
    assert listed_as("Mistral-Tiny", models) == "mistral-tiny"
    assert nearest("mistral-tiny-2", models) == "mistral-small-2603"


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("claude-3-opus", ["gpt-6-opus", "claude-opus-5"], "claude-opus-5"),
        ("openai/o3", ["anthropic/o3", "openai/gpt-6", "openai/o4-mini"], "openai/o4-mini"),
        ("qwen/qwq-32b", ["qwen/qwen3-32b", "meta/qwq"], "qwen/qwen3-32b"),
        ("gpt-5", ["whisper-1"], None),
    ],
)
def test_the_nearest_name_is_of_the_same_family_or_maker(name: str, names: list[str], near: str | None) -> None:
    assert nearest(name, ListedModels(tuple(names))) == near


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "environ", "url"),
    [
        ("deepseek/deepseek-flash", {"DEEPSEEK_API_KEY": KEY}, "https://api.deepseek.com/models"),
        ("groq/m", {"GROQ_API_KEY": KEY}, "https://api.groq.com/openai/v1/models"),
        ("xai/m", {"XAI_API_KEY": KEY}, "https://api.x.ai/v1/models"),
        ("fireworks_ai/m", {"FIREWORKS_API_KEY": KEY}, "https://api.fireworks.ai/inference/v1/models"),
        ("openrouter/a/m", {"OPENROUTER_API_KEY": KEY}, "https://openrouter.ai/api/v1/models"),
        ("vercel_ai_gateway/a/m", {"VERCEL_AI_GATEWAY_API_KEY": KEY}, "https://ai-gateway.vercel.sh/v1/models"),
        ("anthropic/m", {"ANTHROPIC_API_KEY": KEY}, "https://api.anthropic.com/v1/models"),
        ("anthropic/m", {"ANTHROPIC_AUTH_TOKEN": KEY}, "https://api.anthropic.com/v1/models"),
        ("gemini/m", {"GOOGLE_API_KEY": KEY}, "https://generativelanguage.googleapis.com/v1beta/models"),
        ("bedrock/m", {"AWS_PROFILE": KEY}, None),
        ("vertex_ai/m", {"VERTEXAI_PROJECT": KEY}, None),
    ],
)
async def test_the_list_of_a_provider_has_its_documented_address(
    model: str, environ: dict[str, str], url: str | None
) -> None:
    (state,) = await Routes({"m": [Route(model=model)]}, environ).states("m")
    assert state.target is not None
    address = list_address(state.route, state.target, environ)
    assert (address and address.url) == url
    if address is not None:
        assert any(KEY in value for _, value in address.headers)
        assert KEY not in repr(address) + address.url
        assert address.key_name in environ


@pytest.mark.anyio
async def test_pages_are_read_up_to_a_limit_and_a_registry_address_is_no_name() -> None:
    def endless(asked: Asked) -> Body:
        at = int(asked.query.get("after_id", "0"))
        entry = {"id": f"registry://m-{at}", "name": f"m-{at}"}
        return Body({"data": [entry], "has_more": True, "last_id": str(at + 1)})

    with ListServer(all=endless) as server:
        address = ListAddress("openai", f"{server.url('all')}/models")
        found = await listings([address])
    assert found == {address: ListedModels(tuple(f"m-{number}" for number in range(20)))}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks4://127.0.0.1:9", "needs the proxy socks4://127.0.0.1:9, whose kind is not supported"),
        ("http://127.0.0.1:9", "can't be reached at http://models.invalid/v1/models"),
    ],
)
async def test_the_remedy_of_an_address_behind_a_proxy_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, proxy: str, said: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("http_proxy", proxy)
    address = ListAddress("openai", "http://models.invalid/v1/models")
    (failed,) = (await listings([address])).values()
    assert isinstance(failed, ListFailed)
    assert failed.message == said
    assert "no_proxy=models.invalid" in failed.remedy
