"""What a provider refuses of a request is changed and asked again, over both transports; limits are never lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moa_mcp import errors
from moa_mcp.middleware import Limits, Model, Shared, stack
from moa_mcp.values import Call, Message, Parameters, Place, ReplySchema, Target
from tests.support.byte_server import Bytes, ByteServer
from tests.support.refused_parameters import CASES, EFFORTS, FORMAT, SYSTEM, VALIDATED, Case

pytestmark = pytest.mark.anyio

OK = Bytes(
    [b'{"choices": [{"message": {"content": "So."}, "finish_reason": "stop"}]}'],
    200,
    {"Content-Type": "application/json"},
)
EVENTS = Bytes(
    [b'data: {"choices": [{"index": 0, "delta": {"content": "So."}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'],
    200,
    {"Content-Type": "text/event-stream"},
)
NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens", "temperature", "top_p", "reasoning_effort")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def refusal(told: str, status: int = 400, param: str | None = None) -> Bytes:
    body = {"error": {"message": told, "type": "invalid_request_error", "param": param, "code": None}}
    return Bytes([json.dumps(body).encode()], status, {"Content-Type": "application/json"})


def layers(provider: Model, base: str, shared: Shared | None = None) -> Model:
    async def usable(_: str) -> tuple[Target, ...]:
        return (Target("openai/m", "openai", base, "none", wire_model="m"),)

    return stack(provider, usable, shared or Shared(Limits(attempts=1)), lambda _: None)


def call_of(parameters: Parameters, number: int = 1) -> Call:
    messages = (Message("system", "Be brief."), Message("user", "Why?"))
    return Call("run", Place(1, number), "m", messages, parameters, 1)


def given(request: dict[str, Any]) -> dict[str, Any]:
    return {name: request[name] for name in NAMES if name in request}


@pytest.mark.parametrize("case", [*CASES, *EFFORTS], ids=lambda case: case.told[:60])
async def test_the_next_request_is_one_that_the_provider_takes(provider: Model, server: ByteServer, case: Case) -> None:
    base = server.script("parameters", refusal(case.told, case.status, case.param), OK)
    asking = layers(provider, base)(call_of(case.sent))
    if case.then is None:
        with pytest.raises(errors.ContextTooLong):
            await asking
        assert len(server.asked("parameters")) == 1
        return
    completion = await asking
    assert [given(request) for request in server.asked("parameters")] == [case.sent, case.then]
    assert len(completion.notes) == 1
    assert completion.notes[0].startswith(
        (
            "openai/m takes ",
            "openai/m does not take ",
            "openai/m has no room ",
            "the prompt leaves ",
            "the credit left ",
        )
    )


@pytest.mark.parametrize(("details", "then"), VALIDATED)
@pytest.mark.parametrize("form", ["detail", "message", "error"])
async def test_what_a_servers_validation_tells_is_read_wherever_it_stands(
    provider: Model, server: ByteServer, details: Any, then: Parameters, form: str
) -> None:
    body = {"error": {"message": json.dumps(details)}} if form == "error" else {"object": "error", form: details}
    reply = Bytes([json.dumps(body).encode()], 422, {"Content-Type": "application/json"})
    base = server.script("validated", reply, OK)
    await layers(provider, base)(call_of({"max_tokens": 20_000}))
    assert given(server.asked("validated")[-1]) == then


@pytest.mark.parametrize(("status", "told"), SYSTEM)
async def test_a_system_message_that_is_refused_goes_into_the_users_turn_from_then_on(
    provider: Model, server: ByteServer, status: int, told: str
) -> None:
    base = server.script("system", refusal(told, status), OK)
    shared = Shared(Limits(attempts=1))
    completions = [await layers(provider, base, shared)(call_of({}, number)) for number in (1, 2)]
    roles = [[message["role"] for message in request["messages"]] for request in server.asked("system")]
    assert roles == [["system", "user"], ["user"], ["user"]]
    assert server.asked("system")[-1]["messages"][0]["content"] == "Be brief.\n\nWhy?"
    note = "openai/m does not take system messages; sent its text in the user message"
    assert [completion.notes for completion in completions] == [(note,), (note,)]


async def test_words_about_roles_that_folding_does_not_help_are_an_error(provider: Model, server: ByteServer) -> None:
    base = server.script("roles", refusal("Conversation roles must alternate"))
    shared = Shared(Limits(attempts=1))
    for number in (1, 2):
        with pytest.raises(errors.SystemRoleRefused):
            await layers(provider, base, shared)(call_of({}, number))
    assert len(server.asked("roles")) == 4


@pytest.mark.parametrize("told", FORMAT)
async def test_a_form_for_the_reply_that_is_refused_is_left_out_from_then_on(
    provider: Model, server: ByteServer, told: str
) -> None:
    seen: list[bool] = []

    async def asked(call: Call) -> Any:
        seen.append(call.reply_schema is not None)
        return await provider(call)

    base = server.script("format", refusal(told), OK)
    shared = Shared(Limits(attempts=1))
    for number in (1, 2):
        call = call_of({}, number)._replace(reply_schema=ReplySchema("verdict", "{}"))
        completion = await layers(asked, base, shared)(call)
        assert completion.notes == ("openai/m does not take response_format; left out",)
    assert seen == [True, False, False]


async def test_a_stream_whose_options_are_refused_is_requested_without_them_from_then_on(
    provider: Model, server: ByteServer
) -> None:
    base = server.script("options", refusal("Unknown parameter: 'stream_options'.", param="stream_options"), EVENTS)
    for number in (1, 2):
        texts: list[str] = []
        completion = await layers(provider, base)(call_of({}, number)._replace(on_text=texts.append))
        assert (completion.text, "".join(texts)) == ("So.", "So.")
    assert ["stream_options" in request for request in server.asked("options")] == [True, False, False]


async def test_a_limit_that_is_refused_under_both_names_is_not_left_out(provider: Model, server: ByteServer) -> None:
    told = "max_tokens is not supported", "max_completion_tokens is not supported"
    base = server.script("limit", *map(refusal, told), OK)
    with pytest.raises(errors.ParameterRefused, match="max_completion_tokens is not supported"):
        await layers(provider, base)(call_of({"max_tokens": 100}))
    assert [given(request) for request in server.asked("limit")] == [
        {"max_tokens": 100},
        {"max_completion_tokens": 100},
    ]


async def test_a_limit_without_a_stated_bound_is_halved_once(provider: Model, server: ByteServer) -> None:
    base = server.script("halved", refusal("max_tokens is too large"))
    with pytest.raises(errors.ParameterRefused):
        await layers(provider, base)(call_of({"max_tokens": 100}))
    assert [given(request)["max_tokens"] for request in server.asked("halved")] == [100, 50]


async def test_what_was_learned_of_one_parameter_stands_beside_what_is_learned_of_others(
    provider: Model, server: ByteServer
) -> None:
    refusals = [
        refusal("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        refusal("max_completion_tokens is too large: 20000. This model supports at most 8192 completion tokens."),
        refusal("`temperature` is deprecated for this model."),
    ]
    base = server.script("several", *refusals, OK)
    completion = await layers(provider, base)(call_of({"max_tokens": 20_000, "temperature": 0.5}))
    assert given(server.asked("several")[-1]) == {"max_completion_tokens": 8192}
    assert completion.notes == (
        "openai/m takes at most 8192 for max_tokens, not 20000; sent 8192 as max_completion_tokens",
        "openai/m does not take temperature; left out",
    )


async def test_a_bound_holds_for_the_next_calls_that_are_beyond_it_and_for_no_others(
    provider: Model, server: ByteServer
) -> None:
    base = server.script("bound", refusal("max_tokens must be at most 8192"), OK)
    shared = Shared(Limits(attempts=1))
    notes = [(await layers(provider, base, shared)(call_of({"max_tokens": most}))).notes for most in (9000, 9001, 100)]
    assert [given(request)["max_tokens"] for request in server.asked("bound")] == [9000, 8192, 8192, 100]
    assert [len(each) for each in notes] == [1, 1, 0]
