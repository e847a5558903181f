"""What providers say when they refuse becomes the right kind of error, over both transports, streamed or not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moa_mcp import errors
from moa_mcp.middleware import Model
from moa_mcp.providers.litellm.client import LiteLLM
from moa_mcp.values import Call, Message, Place, Target
from tests.support.byte_server import Bytes, ByteServer
from tests.support.refused_bodies import REFUSED, Said

pytestmark = pytest.mark.anyio

KEY = "quartz-lantern-meadow-4417"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def call_to(base: str, *, streamed: bool, model: str = "openai/m") -> Call:
    target = Target(model, model.partition("/")[0], base, KEY, wire_model="m")
    asked = Call("run", Place(1, 1), "m", (Message("user", "Why?"),), {"max_tokens": 100}, 1, target=target)
    return asked._replace(on_text=lambda _: None) if streamed else asked


async def failure(provider: Model, call: Call) -> errors.CallError:
    with pytest.raises(errors.CallError) as raised:
        await provider(call)
    return raised.value


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("said", REFUSED, ids=lambda said: said.name)
async def test_a_refusal_is_told_by_its_kind_with_the_providers_words_and_the_address(
    provider: Model, server: ByteServer, said: Said, streamed: bool
) -> None:
    if isinstance(provider, LiteLLM) and said.status == 200 and streamed:
        pytest.skip("litellm shows a stream without anything in it")
    reply = Bytes([said.raw], said.status, {"Content-Type": "application/json", **said.headers})
    base = server.script(said.name.replace(" ", "-").replace("'", ""), reply)
    told = await failure(provider, call_to(base, streamed=streamed))
    assert (told.kind, getattr(told, "retry_after_s", None)) == (said.kind, said.wait_s), str(told)
    assert said.holds in str(told)
    assert f"at {base}/chat/completions" in str(told)
    assert KEY not in str(told)
    assert told.retryable is (said.kind in {"RateLimited", "ServerFailed"})


async def test_the_parameter_that_a_provider_names_beside_its_words_is_told(
    provider: Model, server: ByteServer
) -> None:
    body = b'{"error": {"message": "Param Incorrect", "param": "messages[0].name"}}'
    base = server.script("param", Bytes([body], 400, {"Content-Type": "application/json"}))
    told = str(await failure(provider, call_to(base, streamed=False)))
    assert told == f"openai/m: Param Incorrect (param messages[0].name; at {base}/chat/completions)"


async def test_a_wrong_path_is_told_with_what_would_be_right(provider: Model, server: ByteServer) -> None:
    base = server.script("lost", Bytes([b"404 page not found"], 404, {"Content-Type": "text/plain"}))
    told = await failure(provider, call_to(base, streamed=False))
    assert isinstance(told, errors.ModelNotFound)
    asked = f"openai/m: 404 page not found (at {base}/chat/completions)"
    assert str(told) == (
        f"{asked}; check the address: most servers answer at {server.url}/v1/chat/completions, so "
        f"set api_base to {server.url}/v1"
    )


async def test_a_model_that_is_unknown_is_not_taken_for_a_wrong_path(provider: Model, server: ByteServer) -> None:
    body = b'{"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}'
    base = server.script("unknown", Bytes([body], 404, {"Content-Type": "application/json"}))
    told = str(await failure(provider, call_to(base, streamed=False)))
    assert told == f"openai/m: The model `m` does not exist (at {base}/chat/completions)"


@pytest.mark.parametrize(
    ("model", "written", "asked"),
    [
        ("anthropic/claude-x", "", "/v1/messages"),
        ("anthropic/claude-x", "/", "/v1/messages"),
        ("anthropic/claude-x", "/v1", "/v1/messages"),
        ("anthropic/claude-x", "/v1/messages/", "/v1/messages"),
        ("gemini/gemini-x", "/", "/v1beta/models/gemini-x:generateContent"),
        ("gemini/gemini-x", "/v1beta/", "/v1beta/models/gemini-x:generateContent"),
        ("gemini/gemini-x", "/v1beta/openai", "/v1beta/models/gemini-x:generateContent"),
    ],
)
async def test_an_address_in_litellms_variables_may_end_as_people_write_it(
    server: ByteServer, monkeypatch: pytest.MonkeyPatch, model: str, written: str, asked: str
) -> None:
    name = asked.split("/")[1]
    server.script(name, Bytes([b'{"error": {"message": "no"}}'], 401, {"Content-Type": "application/json"}))
    provider, _, _ = model.partition("/")
    monkeypatch.setenv(f"{provider.upper()}_API_BASE", f"{server.url}{written}")
    call = call_to("", streamed=False)._replace(target=Target(model, provider, None, KEY))
    assert str(await failure(LiteLLM(), call)) == f"{model}: no (at {server.url}{asked})"


@pytest.mark.parametrize("end", ["/", "/chat/completions", "/chat/completions/", " ", "/models"])
async def test_an_address_may_end_as_people_write_it(provider: Model, server: ByteServer, end: str) -> None:
    base = server.script("v1", Bytes([b'{"error": "no"}'], 401, {"Content-Type": "application/json"}))
    call = call_to(base, streamed=False)
    assert call.target is not None
    told = await failure(provider, call._replace(target=replace(call.target, api_base=f"{base}{end}")))
    assert str(told) == f"openai/m: no (at {base}/chat/completions)"
