"""The provider for real models, against a real HTTP server: every reply in its kind, plain and streamed."""

from __future__ import annotations

import inspect
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from importlib import import_module

import anyio
import anyio.to_thread
import pytest

from moa_mcp import catalog, errors
from moa_mcp.providers.litellm import LiteLLM
from moa_mcp.values import Call, Completion, Message, Place, Target, Usage
from tests.model_server import Behaviour, BrokenJson, Hang, HtmlPage, ModelServer, Reply, Reset, Status

pytestmark = pytest.mark.anyio

KEY = "quartz lantern meadow"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[LiteLLM]:
    yield LiteLLM()
    await import_module("litellm").close_litellm_async_clients()


@pytest.fixture
def models(serving: ModelServer) -> ModelServer:
    serving.clear()
    serving.script("*")
    return serving


@pytest.fixture(params=["plain", "streamed"])
def call(request: pytest.FixtureRequest, models: ModelServer) -> Call:
    asked = Call(
        run_id="run",
        place=Place(1, 1),
        agent="m",
        messages=(Message("system", "Be brief."), Message("user", "Why?")),
        parameters={"temperature": 0.5, "max_tokens": 64},
        seed=1,
        target=Target("openai/m", "openai", models.url, KEY),
    )
    return asked if request.param == "plain" else replace(asked, on_text=lambda _: None)


def at(call: Call, model: str) -> Call:
    assert call.target is not None
    return replace(call, target=replace(call.target, model=model))


async def failure(provider: LiteLLM, call: Call) -> errors.CallError:
    with pytest.raises(errors.CallError) as raised:
        await provider(call)
    return raised.value


async def test_an_answer_comes_with_its_tokens_and_nothing_is_noted(
    provider: LiteLLM, models: ModelServer, call: Call
) -> None:
    models.script("m", Reply("Because it is so.", cached_tokens=2, reasoning_tokens=7))
    usage = Usage(prompt_tokens=3, completion_tokens=11, cached_tokens=2, reasoning_tokens=7)
    assert await provider(call) == Completion("Because it is so.", "openai/m", usage=usage)


async def test_an_answer_that_its_limit_ended_is_marked_as_cut(
    provider: LiteLLM, models: ModelServer, call: Call
) -> None:
    models.script("m", Reply("Because it", finish_reason="length"))
    assert (await provider(call)).cut


async def test_the_price_of_a_known_model_is_known_wherever_it_is_served(
    provider: LiteLLM, models: ModelServer, call: Call
) -> None:
    models.script("gpt-4o-mini", Reply("x" * 400))
    completion = await provider(at(call, "openai/gpt-4o-mini"))
    assert completion.usage == Usage(prompt_tokens=3, completion_tokens=100)
    assert completion.cost_usd == 3 * Decimal("0.00000015") + 100 * Decimal("0.0000006")


async def test_only_what_was_asked_for_is_sent(provider: LiteLLM, models: ModelServer, call: Call) -> None:
    await provider(call)
    (request,) = models.requests
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if call.on_text else {}
    assert request.body == {"model": "m", "messages": messages, "temperature": 0.5, "max_tokens": 64, **streaming}
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_a_streamed_answer_is_told_as_it_arrives(provider: LiteLLM, models: ModelServer, call: Call) -> None:
    pieces: list[str] = []
    models.script("m", Reply("One two three"))
    completion = await provider(replace(call, on_text=pieces.append))
    assert len(pieces) > 1
    assert "".join(pieces) == completion.text == "One two three"


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Status(200, "no"), errors.ServerFailed),
        (Status(400, "no"), errors.RequestRefused),
        (Status(400, "This model's maximum context length is 8192 tokens."), errors.ContextTooLong),
        (Status(400, "Unsupported value: 'temperature' does not support 0.5."), errors.ParameterRefused),
        (Status(400, "No.", error_code="content_policy_violation"), errors.AnswerRefused),
        (Status(401, "no"), errors.AuthFailed),
        (Status(402, "no"), errors.QuotaExceeded),
        (Status(403, "no"), errors.AuthFailed),
        (Status(404, "no"), errors.ModelNotFound),
        (Status(408, "no"), errors.TimedOut),
        (Status(413, "no"), errors.RequestRefused),
        (Status(422, "no"), errors.RequestRefused),
        (Status(429, "no"), errors.RateLimited),
        (Status(429, "You exceeded your current quota.", error_code="insufficient_quota"), errors.QuotaExceeded),
        (Status(500, "no"), errors.ServerFailed),
        (Status(503, "no"), errors.ServerFailed),
        (Status(529, "no"), errors.ServerFailed),
        (Reset(), errors.ConnectionFailed),
        (BrokenJson(), errors.ServerFailed),
        (HtmlPage(), errors.ServerFailed),
        (Reply(""), errors.AnswerEmpty),
        (Reply(" \n"), errors.AnswerEmpty),
        (Reply("half", finish_reason="content_filter"), errors.AnswerRefused),
    ],
)
async def test_what_went_wrong_is_told_by_its_kind_after_a_single_request(
    provider: LiteLLM, models: ModelServer, call: Call, behaviour: Behaviour, kind: type[errors.CallError]
) -> None:
    models.script("m", behaviour)
    assert type(await failure(provider, call)) is kind
    assert len(models.requests) == 1


async def test_a_model_that_declines_is_told_from_one_that_says_nothing(
    provider: LiteLLM, models: ModelServer, call: Call
) -> None:
    models.script("m", Reply("", refusal="Not that."))
    told = str(await failure(provider, call))
    if call.on_text is None:
        assert told == "openai/m declined: Not that."
    else:
        assert told == "no text: openai/m returned none", (
            "litellm hands on what a model says when it declines in a stream: read it in _streamed, as _completion does"
        )


@pytest.mark.parametrize(
    ("asked", "retry_after_s"), [("7", 7.0), ("0.2", 0.2), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None)]
)
async def test_how_long_a_provider_asks_to_wait_is_kept(
    provider: LiteLLM, models: ModelServer, call: Call, asked: str, retry_after_s: float | None
) -> None:
    models.script("m", Status(429, "slow down", retry_after=asked))
    refusal = await failure(provider, call)
    assert isinstance(refusal, errors.RateLimited)
    assert refusal.retry_after_s == retry_after_s


async def test_a_parameter_that_has_another_name_is_refused_with_that_name(
    provider: LiteLLM, models: ModelServer, call: Call
) -> None:
    models.script("m", Status(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."))
    refusal = await failure(provider, call)
    assert isinstance(refusal, errors.ParameterRefused)
    assert (refusal.parameter, refusal.instead) == ("max_tokens", "max_completion_tokens")


async def test_a_parameter_that_litellm_knows_to_be_refused_is_not_sent(
    provider: LiteLLM, models: ModelServer, call: Call
) -> None:
    refusal = await failure(provider, at(call, "openai/gpt-5-nano"))
    assert isinstance(refusal, errors.ParameterRefused)
    assert (refusal.parameter, refusal.instead, models.requests) == ("temperature", None, ())


async def test_thinking_that_used_up_the_limit_is_told_with_what_it_cost(
    provider: LiteLLM, models: ModelServer, call: Call
) -> None:
    models.script("gpt-4o-mini", Reply("", finish_reason="length", reasoning_tokens=63))
    empty = await failure(provider, at(call, "openai/gpt-4o-mini"))
    assert isinstance(empty, errors.AnswerEmpty)
    assert (empty.at_limit, empty.paid, empty.usage) == (True, True, Usage(3, 64, 0, 63))
    assert empty.cost_usd == 3 * Decimal("0.00000015") + 64 * Decimal("0.0000006")


async def test_a_server_that_is_not_there_is_named(provider: LiteLLM, call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    refusal = await failure(provider, replace(call, target=Target("openai/m", "openai", base, "none")))
    assert isinstance(refusal, errors.ConnectionFailed)
    assert str(refusal) == f"openai/m: no connection to {base}"


async def test_a_litellm_that_can_not_be_loaded_is_told_to_every_call(
    monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    def broken() -> None:
        raise RuntimeError("half installed")

    monkeypatch.setattr("moa_mcp.providers.litellm._imported", broken)
    provider = LiteLLM()
    told = [str(await failure(provider, call)), str(await failure(provider, call))]
    assert told == ["litellm can't be loaded: half installed"] * 2


async def test_a_call_without_a_route_is_refused(provider: LiteLLM, call: Call) -> None:
    assert str(await failure(provider, replace(call, target=None))) == "no route was chosen for m"


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_key_that_a_provider_repeats_is_masked(
    provider: LiteLLM, models: ModelServer, call: Call, status: int
) -> None:
    models.script("m", Status(status, f"The key {KEY} is not welcome, nor is sk-proj-12ab34cd56ef."))
    assert str(await failure(provider, call)) == "openai/m: The key [key] is not welcome, nor is [key]"


async def test_a_cancelled_call_closes_its_connection(provider: LiteLLM, models: ModelServer, call: Call) -> None:
    models.script("m", Hang())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(provider, call)
        await anyio.to_thread.run_sync(models.wait_for, lambda requests: len(requests) == 1)
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(models.wait_for, lambda requests: requests[0].disconnected)


async def test_a_stream_that_is_cancelled_half_way_closes_its_connection(
    provider: LiteLLM, models: ModelServer, call: Call
) -> None:
    begun = anyio.Event()
    models.script("m", Reply("word " * 1000, chunk_delay_s=0.1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(provider, replace(call, on_text=lambda _: begun.set()))
        with anyio.fail_after(10):
            await begun.wait()
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(models.wait_for, lambda requests: requests[0].disconnected)


async def test_a_model_of_no_known_provider_is_refused_without_a_word_on_stdout(
    provider: LiteLLM, call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    unknown = replace(call, target=Target("no-such-provider/m", "no-such-provider"))
    assert isinstance(await failure(provider, unknown), errors.RequestRefused)
    assert capfd.readouterr().out == "", (
        "litellm prints to stdout, which carries the protocol: find the switch that took over from suppress_debug_info"
    )


@pytest.mark.parametrize(
    "switch", ["suppress_debug_info", "disable_hf_tokenizer_download", "drop_params", "cache", "num_retries"]
)
def test_every_switch_that_is_set_on_litellm_is_one_it_has(switch: str) -> None:
    source = inspect.getsource(import_module("litellm"))
    assert re.search(rf"^{switch}\b", source, re.MULTILINE), (
        f"litellm has no {switch} any more: look for what replaced it, and set that in providers/litellm.py, _imported"
    )


def test_litellms_table_of_prices_is_where_it_is_read() -> None:
    assert catalog.provider_of("gpt-4o-mini") == "openai", (
        f"litellm keeps its prices elsewhere than in {catalog._TABLE}, or in another form: change moa_mcp/catalog.py"
    )
