"""Both transports, against one real HTTP server: every request and every reply in its kind, plain and streamed."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import anyio
import anyio.to_thread
import pytest

from moa_mcp import errors
from moa_mcp.middleware import Model
from moa_mcp.providers.litellm.client import LiteLLM
from moa_mcp.providers.openai.client import OpenAICompatible
from moa_mcp.routing.hosts import HOSTS, wire_name
from moa_mcp.values import Call, Completion, Message, Parameters, Place, Target, Usage
from tests.support.model_server import Behaviour, BrokenJson, Hang, HtmlPage, ModelServer, Reply, Reset, Status
from tests.support.over import TRANSPORTS, over

pytestmark = pytest.mark.anyio

KEY = "quartz lantern meadow"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=TRANSPORTS)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Model]:
    async with over(request.param) as provider:
        yield provider


@pytest.fixture
def models(serving: ModelServer) -> ModelServer:
    serving.clear()
    for name in ("*", "m", "gpt-4o-mini"):
        serving.script(name)
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
        target=Target("openai/m", "openai", models.url, KEY, wire_model="m"),
    )
    return asked if request.param == "plain" else asked._replace(on_text=lambda _: None)


def at(call: Call, model: str) -> Call:
    assert call.target is not None
    return call._replace(target=replace(call.target, model=model, wire_model=model.partition("/")[2]))


async def failure(provider: Model, call: Call) -> errors.CallError:
    with pytest.raises(errors.CallError) as raised:
        await provider(call)
    return raised.value


async def test_an_answer_comes_with_its_tokens_and_nothing_is_noted(
    provider: Model, models: ModelServer, call: Call
) -> None:
    models.script("m", Reply("Because it is so.", cached_tokens=2, reasoning_tokens=7))
    usage = Usage(prompt_tokens=3, completion_tokens=11, cached_tokens=2, reasoning_tokens=7)
    assert await provider(call) == Completion("Because it is so.", "openai/m", usage=usage)


async def test_an_answer_that_its_limit_ended_is_marked_as_cut(
    provider: Model, models: ModelServer, call: Call
) -> None:
    models.script("m", Reply("Because it", finish_reason="length"))
    assert (await provider(call)).cut


async def test_the_price_of_a_known_model_is_known_wherever_it_is_served(
    provider: Model, models: ModelServer, call: Call
) -> None:
    models.script("gpt-4o-mini", Reply("x" * 400))
    completion = await provider(at(call, "openai/gpt-4o-mini"))
    assert completion.usage == Usage(prompt_tokens=3, completion_tokens=100)
    assert completion.cost_usd == 3 * Decimal("0.00000015") + 100 * Decimal("0.0000006")


async def test_only_what_was_asked_for_is_sent(provider: Model, models: ModelServer, call: Call) -> None:
    await provider(call)
    (request,) = models.requests
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if call.on_text else {}
    assert request.body == {"model": "m", "messages": messages, "temperature": 0.5, "max_tokens": 64, **streaming}
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_a_prompt_that_recurs_is_marked_for_the_cache_where_the_provider_wants_that(
    provider: Model, models: ModelServer, call: Call
) -> None:
    assert call.target is not None
    for model in ("openrouter/anthropic/claude-sonnet-4.5", "openrouter/x/other"):
        target = replace(call.target, model=model, provider="openrouter")
        await provider(call._replace(target=target, prompt_recurs=True))
    marked, unmarked = (request.body["messages"] for request in models.requests)
    assert marked == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Why?", "cache_control": {"type": "ephemeral"}}]},
    ]
    assert unmarked == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]


async def test_a_streamed_answer_is_told_as_it_arrives(provider: Model, models: ModelServer, call: Call) -> None:
    pieces: list[str] = []
    models.script("m", Reply("One two three"))
    completion = await provider(call._replace(on_text=pieces.append))
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
        (Status(502, "<html><h1>Bad gateway</h1></html>"), errors.ServerFailed),
        (BrokenJson(), errors.ServerFailed),
        (HtmlPage(), errors.ServerFailed),
        (Reply(""), errors.AnswerEmpty),
        (Reply(" \n"), errors.AnswerEmpty),
        (Reply("half", finish_reason="content_filter"), errors.AnswerRefused),
    ],
)
async def test_what_went_wrong_is_told_by_its_kind_after_a_single_request(
    provider: Model, models: ModelServer, call: Call, behaviour: Behaviour, kind: type[errors.CallError]
) -> None:
    models.script("m", behaviour)
    told = await failure(provider, call)
    assert type(told) is kind
    unclear = isinstance(behaviour, BrokenJson | HtmlPage) or behaviour == Status(200, "no")
    assert told.paid is kind.paid or (unclear and told.paid is None)
    assert len(models.requests) == 1


async def test_a_connection_that_is_reset_fails_the_call_which_may_have_been_billed(
    provider: Model, models: ModelServer, call: Call
) -> None:
    models.script("m", Reset())
    told = await failure(provider, call)
    assert type(told) is errors.ConnectionFailed
    assert told.paid is None
    assert 1 <= len(models.requests) <= 2  # one that is reset at once on an idle connection is sent again


async def test_a_model_that_declines_is_told_from_one_that_says_nothing(
    provider: Model, models: ModelServer, call: Call
) -> None:
    models.script("m", Reply("", refusal="Not that."))
    told = str(await failure(provider, call))
    if isinstance(provider, LiteLLM) and call.on_text is not None:
        assert told == "empty answer: openai/m returned no text", (
            "litellm hands on what a model says when it declines in a stream: read it in _streamed, as _completion does"
        )
    else:
        assert told == "openai/m declined: Not that."


@pytest.mark.parametrize(
    ("asked", "retry_after_s"), [("7", 7.0), ("0.2", 0.2), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None)]
)
async def test_how_long_a_provider_asks_to_wait_is_kept(
    provider: Model, models: ModelServer, call: Call, asked: str, retry_after_s: float | None
) -> None:
    models.script("m", Status(429, "slow down", retry_after=asked))
    refusal = await failure(provider, call)
    assert isinstance(refusal, errors.RateLimited)
    assert refusal.retry_after_s == retry_after_s


async def test_a_parameter_that_has_another_name_is_refused_with_that_name(
    provider: Model, models: ModelServer, call: Call
) -> None:
    models.script("m", Status(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."))
    refusal = await failure(provider, call)
    assert isinstance(refusal, errors.ParameterRefused)
    assert (refusal.parameter, refusal.instead) == ("max_tokens", "max_completion_tokens")


async def test_thinking_that_used_up_the_limit_is_told_with_what_it_cost(
    provider: Model, models: ModelServer, call: Call
) -> None:
    models.script("gpt-4o-mini", Reply("", finish_reason="length", reasoning_tokens=63))
    empty = await failure(provider, at(call, "openai/gpt-4o-mini"))
    assert isinstance(empty, errors.AnswerEmpty)
    assert (empty.at_limit, empty.paid, empty.usage) == (True, True, Usage(3, 64, 0, 63))
    assert empty.cost_usd == 3 * Decimal("0.00000015") + 64 * Decimal("0.0000006")


async def test_a_server_that_is_not_there_is_named(provider: Model, call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    refusal = await failure(provider, call._replace(target=Target("openai/m", "openai", base, "none", wire_model="m")))
    assert isinstance(refusal, errors.ConnectionFailed)
    assert refusal.paid is False
    assert str(refusal) == f"openai/m: can't connect to {base}"


async def test_a_call_without_a_route_is_refused(provider: Model, call: Call) -> None:
    assert str(await failure(provider, call._replace(target=None))) == "no route selected for m"


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_key_that_a_provider_repeats_is_masked(
    provider: Model, models: ModelServer, call: Call, status: int
) -> None:
    models.script("m", Status(status, f"The key {KEY} is not welcome, nor is sk-proj-12ab34cd56ef."))
    asked = f"at {models.url}/chat/completions"
    assert str(await failure(provider, call)) == f"openai/m: The key [key] is not welcome, nor is [key] ({asked})"


async def test_a_cancelled_call_closes_its_connection(provider: Model, models: ModelServer, call: Call) -> None:
    models.script("m", Hang())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(provider, call)
        await anyio.to_thread.run_sync(models.wait_for, lambda requests: len(requests) == 1)
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(models.wait_for, lambda requests: requests[0].disconnected)


async def test_a_stream_that_is_cancelled_half_way_closes_its_connection(
    provider: Model, models: ModelServer, call: Call
) -> None:
    begun = anyio.Event()
    models.script("m", Reply("word " * 1000, chunk_delay_s=0.1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(provider, call._replace(on_text=lambda _: begun.set()))
        with anyio.fail_after(10):
            await begun.wait()
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(models.wait_for, lambda requests: requests[0].disconnected)


@pytest.mark.parametrize(
    ("name", "parameters", "sent"),
    [
        ("gpt-4o-mini", {"temperature": 0.5, "max_tokens": 64}, {"temperature": 0.5, "max_tokens": 64}),
        ("gpt-5-nano", {"max_tokens": 64}, {"max_completion_tokens": 64}),
        (
            "gpt-5-nano",
            {"max_completion_tokens": 64, "temperature": 1},
            {"max_completion_tokens": 64, "temperature": 1},
        ),
        ("gpt-5.1", {"temperature": 0.5, "max_tokens": 64}, {"temperature": 0.5, "max_completion_tokens": 64}),
        ("gpt-5-chat-latest", {"temperature": 0.5, "max_tokens": 64}, {"temperature": 0.5, "max_tokens": 64}),
        ("o1", {"max_tokens": 64}, {"max_completion_tokens": 64}),
        ("gpt-oss-120b", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    ],
)
async def test_the_first_request_names_its_parameters_as_the_model_wants_them(
    provider: Model, models: ModelServer, call: Call, name: str, parameters: Parameters, sent: Parameters
) -> None:
    await provider(at(call, f"openai/{name}")._replace(parameters=parameters))
    (request,) = models.requests
    envelope = {"model", "messages", "stream", "stream_options"}
    assert request.body["model"] == name
    assert {key: value for key, value in request.body.items() if key not in envelope} == sent


@pytest.mark.parametrize(
    ("name", "refused"),
    [("gpt-5-nano", "temperature"), ("gpt-5-nano", "top_p"), ("gpt-5.5", "temperature"), ("o3", "temperature")],
)
async def test_a_parameter_that_is_known_to_be_refused_is_not_sent(
    provider: Model, models: ModelServer, call: Call, name: str, refused: str
) -> None:
    refusal = await failure(provider, at(call, f"openai/{name}")._replace(parameters={refused: 0.5}))
    assert isinstance(refusal, errors.ParameterRefused)
    assert (refusal.parameter, refusal.instead, models.requests) == (refused, None, ())


@pytest.mark.parametrize("provider_name", sorted({*HOSTS} - {"groq", "openai"}))
async def test_every_host_is_sent_the_same(
    provider: Model, models: ModelServer, call: Call, provider_name: str
) -> None:
    name = f"{provider_name}/m"
    target = Target(name, provider_name, models.url, KEY, wire_model=wire_name(provider_name, name))
    await provider(call._replace(target=target))
    (request,) = models.requests
    host = HOSTS[provider_name]
    streaming = {"stream": True, **({"stream_options": {"include_usage": True}} if host.stream_usage else {})}
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "accounts/fireworks/models/m" if provider_name == "fireworks_ai" else "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
        "temperature": 0.5,
        "max_tokens": 64,
        **({"usage": {"include": True}} if provider_name == "openrouter" else {}),
        **(streaming if call.on_text else {}),
    }


async def test_one_request_brings_several_answers_and_its_bill_stands_on_the_first(
    provider: Model, models: ModelServer, call: Call
) -> None:
    said = iter(["One.", "Two.", "Three."])
    pieces: list[str] = []
    models.script("m", Reply(lambda _: next(said)))
    asked = call._replace(samples=3)
    completion = await provider(asked if call.on_text is None else asked._replace(on_text=pieces.append))
    assert completion == Completion(
        "One.",
        "openai/m",
        usage=Usage(prompt_tokens=3, completion_tokens=3),
        others=(Completion("Two.", "openai/m"), Completion("Three.", "openai/m")),
    )
    assert models.requests[0].body["n"] == 3
    assert "".join(pieces) in {"", "One."}


async def test_an_answer_among_several_that_is_none_is_left_out(
    provider: Model, models: ModelServer, call: Call
) -> None:
    said = iter(["", "Two."])
    models.script("m", Reply(lambda _: next(said)))
    completion = await provider(call._replace(samples=2))
    assert (completion.text, completion.others) == ("Two.", ())
    assert completion.usage is not None


async def test_of_a_web_page_in_an_errors_place_the_words_are_told_without_markup(
    provider: Model, models: ModelServer, call: Call
) -> None:
    models.script("m", HtmlPage(502))
    told = str(await failure(provider, call))
    asked = f"(at {models.url}/chat/completions)"
    assert told == f"openai/m: a web page instead of an answer: Please log in {asked}"


async def test_a_stream_that_breaks_off_is_no_answer(provider: Model, models: ModelServer, call: Call) -> None:
    models.script("m", Reply("Half of", breaks_off=True))
    asked = call._replace(on_text=lambda _: None)
    if isinstance(provider, OpenAICompatible):
        assert isinstance(await failure(provider, asked), errors.ConnectionFailed)
        return
    try:  # before 1.109, litellm takes that for the end
        said = (await provider(asked)).text
    except (errors.ConnectionFailed, errors.ServerFailed):
        said = "Half of"
    assert said == "Half of"
