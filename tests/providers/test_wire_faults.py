"""Faults of servers with an OpenAI-compatible API: no paid text is lost by them, and none is made whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import web

from moa_mcp import errors
from moa_mcp.providers.openai.client import OpenAICompatible
from moa_mcp.providers.transports import Real
from moa_mcp.values import Call, Completion, Message, Place, Target, Usage

pytestmark = pytest.mark.anyio

USAGE = {"prompt_tokens": 9, "completion_tokens": 3}
SO = {"choices": [{"index": 0, "delta": {"content": "So."}}]}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
FAULT = {"code": 502, "message": "upstream went away"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def wire() -> AsyncIterator[OpenAICompatible]:
    wire = OpenAICompatible()
    yield wire
    await wire.close()


class Server:
    """Answers with what it is given, and keeps what it was asked."""

    def __init__(self, body: bytes, headers: Mapping[str, str], status: int, hold_s: float) -> None:
        self._body, self._headers, self._status, self._hold_s = body, headers, status, hold_s
        self.asked: list[dict[str, Any]] = []
        self.minds = ""
        """A key of the body that is refused."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        if self.minds and self.minds in self.asked[-1]:
            return web.json_response({"error": {"message": f"Unknown parameter: '{self.minds}'."}}, status=400)
        response = web.StreamResponse(status=self._status, headers=self._headers)
        await response.prepare(request)
        await response.write(self._body)
        await anyio.sleep(self._hold_s)
        return response


@asynccontextmanager
async def serving(
    body: bytes, headers: Mapping[str, str] | None = None, *, status: int = 200, hold_s: float = 0.0
) -> AsyncIterator[tuple[Server, Call]]:
    """Serve a body, and yield the server with a call to it."""
    server = Server(body, {"Content-Type": "application/json", **(headers or {})}, status, hold_s)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    target = Target(
        "openai/gpt-4o-mini", "openai", f"http://127.0.0.1:{runner.addresses[0][1]}/v1", None, wire_model="m"
    )
    try:
        yield server, Call("run", Place(1, 1), "m", (Message("user", "Why?"),), {}, 1, target=target)
    finally:
        await runner.cleanup()


def whole(**choice: object) -> bytes:
    said = {"index": 0, "message": {"content": "So."}, "finish_reason": "stop", **choice}
    return json.dumps({"choices": [said], "usage": USAGE}).encode()


def events(*chunks: object) -> bytes:
    return b"".join(
        b"data: " + (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n\n" for each in chunks
    )


async def streamed(wire: OpenAICompatible, body: bytes, hold_s: float = 0.0) -> tuple[Completion, list[str]]:
    pieces: list[str] = []
    async with serving(body, {"Content-Type": "text/event-stream"}, hold_s=hold_s) as (_, call):
        return await wire(call._replace(on_text=pieces.append)), pieces


@pytest.mark.parametrize(
    "last",
    [
        {"error": FAULT, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": FAULT}]},
        {"object": "error", **FAULT},
        {"error": FAULT},
    ],
    ids=["beside choices", "in a choice", "as an object", "alone"],
)
async def test_a_stream_that_breaks_off_on_an_error_is_no_answer_and_may_be_billed(
    wire: OpenAICompatible, last: Any
) -> None:
    with pytest.raises(errors.ServerFailed, match="upstream went away") as told:
        await streamed(wire, events(SO, last, b"[DONE]"))
    assert told.value.paid is None


async def test_a_stream_that_breaks_off_with_its_bill_keeps_that(wire: OpenAICompatible) -> None:
    with pytest.raises(errors.ServerFailed) as told:
        await streamed(wire, events(SO, {"error": FAULT, "usage": USAGE}))
    assert (told.value.paid, told.value.usage) == (True, Usage(9, 3))
    assert told.value.cost_usd is not None


@pytest.mark.parametrize("choice", [{"finish_reason": "error", "error": FAULT}, {"finish_reason": "error"}])
async def test_a_whole_reply_that_broke_off_on_an_error_is_no_answer(wire: OpenAICompatible, choice: Any) -> None:
    async with serving(whole(**choice)) as (_, call):
        with pytest.raises(errors.ServerFailed) as told:
            await wire(call)
    assert told.value.usage == Usage(9, 3)


async def test_a_reply_without_choices_keeps_its_bill(wire: OpenAICompatible) -> None:
    async with serving(json.dumps({"choices": [], "usage": USAGE}).encode()) as (_, call):
        with pytest.raises(errors.ServerFailed) as told:
            await wire(call)
    assert (told.value.paid, told.value.usage) == (True, Usage(9, 3))


async def test_an_event_without_data_is_none(wire: OpenAICompatible) -> None:
    completion, _ = await streamed(wire, b"data:\n\n" + events(SO, END) + b"data: \n\n" + events(b"[DONE]"))
    assert completion.text == "So."


async def test_an_answer_whose_stream_stays_open_is_taken_all_the_same(wire: OpenAICompatible) -> None:
    with anyio.fail_after(10):
        completion, _ = await streamed(wire, events(SO, END, {"choices": [], "usage": USAGE}), hold_s=60)
    assert (completion.text, completion.usage) == ("So.", Usage(9, 3))


async def test_halves_of_a_surrogate_pair_in_two_chunks_are_one_character_and_one_alone_is_replaced(
    wire: OpenAICompatible,
) -> None:
    halves = [b'{"choices":[{"index":0,"delta":{"content":"%s"}}]}' % half for half in (b"\\ud83d", b"\\ude00 \\ud83d")]
    completion, pieces = await streamed(wire, events(*halves, END, b"[DONE]"))
    assert completion.text == "\N{GRINNING FACE} \N{REPLACEMENT CHARACTER}"
    assert "".join(pieces).encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (whole(message={"content": "half \ud83d"}), "half \N{REPLACEMENT CHARACTER}"),
        (b"\xef\xbb\xbf" + whole(), "So."),
        (whole(finish_reason=["stop"]), "So."),
        (whole(message={"content": [{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "So."}]}), "So."),
    ],
    ids=["a lone surrogate", "a byte order mark", "a list of reasons", "reasoning among the parts"],
)
async def test_a_paid_text_is_read_in_spite_of_its_wrapping(wire: OpenAICompatible, body: bytes, text: str) -> None:
    async with serving(body) as (_, call):
        completion = await wire(call)
    assert (completion.text, completion.usage) == (text, Usage(9, 3))


async def test_a_refusal_that_is_no_text_is_one_all_the_same(wire: OpenAICompatible) -> None:
    async with serving(whole(message={"content": None, "refusal": {"reason": "no"}})) as (_, call):
        with pytest.raises(errors.AnswerRefused, match="declined"):
            await wire(call)


@pytest.mark.parametrize(("count", "usage"), [(-5, None), (1e300, None), ("9", Usage(9, 3))])
async def test_no_count_of_tokens_makes_a_cost_that_can_not_be(
    wire: OpenAICompatible, count: object, usage: Usage | None
) -> None:
    told = {"prompt_tokens": count, "completion_tokens": 3}
    async with serving(json.dumps({**json.loads(whole()), "usage": told}).encode()) as (_, call):
        completion = await wire(call)
    assert completion.usage == usage
    assert (completion.cost_usd is None) == (usage is None)


async def test_answers_that_nobody_asked_for_take_no_part_of_what_was_billed(wire: OpenAICompatible) -> None:
    said = [{"index": at, "message": {"content": f"So {at}."}, "finish_reason": "stop"} for at in range(3)]
    async with serving(json.dumps({"choices": said, "usage": USAGE}).encode()) as (_, call):
        alone, two = await wire(call), await wire(call._replace(samples=2))
    assert (alone.text, alone.others, alone.usage) == ("So 0.", (), Usage(9, 3))
    assert [each.text for each in two.others] == ["So 1."]


async def test_a_server_that_minds_stream_options_is_asked_without_and_from_then_on(wire: OpenAICompatible) -> None:
    async with serving(events(SO, END, b"[DONE]"), {"Content-Type": "text/event-stream"}) as (server, call):
        server.minds = "stream_options"
        asked = call._replace(on_text=lambda _: None)
        texts = [(await wire(asked)).text, (await wire(asked)).text]
    assert texts == ["So.", "So."]
    assert ["stream_options" in body for body in server.asked] == [True, False, False]


@pytest.mark.parametrize(("milliseconds", "waits"), [("3000", 3.0), ("soon", 7.0)])
async def test_a_pause_may_be_asked_for_in_milliseconds(
    wire: OpenAICompatible, milliseconds: str, waits: float
) -> None:
    headers = {"Retry-After": "7", "retry-after-ms": milliseconds}
    async with serving(b"{}", headers, status=429) as (_, call):
        with pytest.raises(errors.RateLimited) as told:
            await wire(call)
    assert told.value.retry_after_s == waits


@pytest.mark.parametrize(("told", "waits"), [("-5", 0.0), ("inf", None), ("1000000000", 0.0), ("1000000000000", 0.0)])
async def test_a_pause_that_is_over_is_none_and_an_endless_one_is_not_believed(
    wire: OpenAICompatible, told: str, waits: float | None
) -> None:
    async with serving(b"{}", {"Retry-After": told}, status=429) as (_, call):
        with pytest.raises(errors.RateLimited) as caught:
            await wire(call)
    assert caught.value.retry_after_s == waits


async def test_a_reply_that_is_not_what_its_headers_say_is_a_broken_connection(wire: OpenAICompatible) -> None:
    async with serving(b"no gzip", {"Content-Encoding": "gzip"}) as (_, call):
        with pytest.raises(errors.ConnectionFailed, match="was interrupted, or the reply is not valid HTTP") as told:
            await wire(call)
    assert told.value.paid is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "m is not a valid model ID", "code": 400}}, 400),
        ({"error": {"message": "Model Not Exist", "code": "invalid_request_error"}}, 400),
        ({"error": {"message": "no", "code": "model_not_found"}}, 400),
    ],
)
async def test_a_model_that_is_not_there_may_be_elsewhere_whatever_the_status(
    wire: OpenAICompatible, body: Any, status: int
) -> None:
    async with serving(json.dumps(body).encode(), status=status) as (_, call):
        with pytest.raises(errors.ModelNotFound) as told:
            await wire(call)
    assert told.value.elsewhere


async def test_a_key_with_the_end_of_a_line_in_it_is_refused_without_being_shown(wire: OpenAICompatible) -> None:
    async with serving(whole()) as (server, call):
        assert call.target is not None
        target = Target("openai/m", "openai", call.target.api_base, "house-key\n-of-two-lines", wire_model="m")
        with pytest.raises(errors.AuthFailed, match="the API key contains a control character") as told:
            await wire(call._replace(target=target))
    assert ("house" in str(told.value), server.asked) == (False, [])


async def test_what_nobody_foresaw_fails_its_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("moa_mcp.providers.replies.billing.usage", breaks)
    provider = Real()
    async with serving(whole()) as (_, call):
        with pytest.raises(errors.UnexpectedFault, match=r"unexpected ZeroDivisionError in moa-mcp") as told:
            await provider(call)
    assert (told.value.elsewhere, told.value.paid) == (True, None)
    await provider.close()
