"""Why an answer ended is read in every provider's words, and a reply that does not end is ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import web

from moa_mcp import errors
from moa_mcp.providers.openai.client import OpenAICompatible
from moa_mcp.providers.replies import limits
from moa_mcp.values import Call, Completion, Message, Place, Target
from tests.support.over import TRANSPORTS, over

pytestmark = pytest.mark.anyio


def quietly(_: str) -> None:
    """Watch the text arrive, and do nothing with it."""


FINISHED = ("stop", "STOP", "eos", "end_turn", "stop_sequence", "COMPLETE", "FINISH_REASON_STOP", "", None)
CUT = ("length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens", "model_context_window_exceeded")
FILTERED = ("content_filter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "refusal", "sensitive", "ERROR_TOXIC")
FAILED = ("error", "insufficient_system_resource", "network_error", "abort", "cancelled", "MALFORMED_FUNCTION_CALL")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def serving(handler: Any) -> AsyncIterator[Call]:
    """Serve a handler, and yield a call to it."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    target = Target("openai/m", "openai", url, "none", wire_model="m")
    parameters = {"max_tokens": 512}
    try:
        yield Call("run", Place(1, 1), "m", (Message("user", "Why?"),), parameters, 1, target=target, on_text=quietly)
    finally:
        await runner.cleanup()


async def ended(reason: object, *, stream: bool, text: str = "So.") -> Completion:
    said = {"index": 0, "message": {"content": text}, "finish_reason": reason}
    chunks = [{"choices": [{"delta": {"content": text}}]}, {"choices": [{"delta": {}, "finish_reason": reason}]}]

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        if not stream:
            return web.json_response({"choices": [said]})
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        return web.Response(text=body, content_type="text/event-stream")

    wire = OpenAICompatible()
    try:
        async with serving(handler) as call:
            return await wire(call)
    finally:
        await wire.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("reasons", "finish"), [(FINISHED, "stop"), (CUT, "length")])
async def test_an_answer_that_has_come_to_its_end_or_its_limit_says_so(
    reasons: tuple[str | None, ...], finish: str, *, stream: bool
) -> None:
    for reason in reasons:
        completion = await ended(reason, stream=stream)
        assert (completion.text, completion.finish_reason, completion.notes) == ("So.", finish, ()), reason


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("reasons", "kind"), [(FILTERED, errors.AnswerRefused), (FAILED, errors.ServerFailed)])
async def test_an_answer_that_a_filter_or_a_fault_ended_is_none(
    reasons: tuple[str, ...], kind: type[errors.CallError], *, stream: bool
) -> None:
    for reason in reasons:
        with pytest.raises(kind) as told:
            await ended(reason, stream=stream)
        assert told.value.paid is None, reason


async def test_a_reason_that_nobody_knows_is_noted() -> None:
    completion = await ended("tired", stream=False)
    assert completion.finish_reason == "other"
    assert completion.notes == ("openai/m ended with an unknown finish_reason: 'tired'",)


async def test_a_thought_that_the_limit_cut_is_no_answer_and_is_kept() -> None:
    with pytest.raises(errors.AnswerEmpty) as told:
        await ended("length", stream=True, text="<think>I lean to Rome")
    assert (told.value.at_limit, told.value.reasoning) == (True, "I lean to Rome")
    assert errors.Failure.of(told.value).reasoning == "I lean to Rome"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("field", ["content", "reasoning_content"])
async def test_a_stream_that_never_ends_is_cut_and_its_connection_closed(
    transport: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_CHARACTERS", 2**18)
    gone = anyio.Event()
    chunk = f"data: {json.dumps({'choices': [{'delta': {field: 'So on. ' * 100}}]})}\n\n".encode()

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(chunk)
        finally:
            gone.set()

    with anyio.fail_after(20):
        async with over(transport) as provider, serving(handler) as call:
            if field == "content":
                completion = await provider(call)
                assert completion.finish_reason == "length"
                assert len(completion.text) < 2 * 32 * 512
                assert completion.notes == ("the answer was cut: the provider sent more than 8 times max_tokens (512)",)
            else:
                with pytest.raises(errors.AnswerEmpty) as told:
                    await provider(call)
                assert told.value.at_limit
            await gone.wait()


@pytest.mark.parametrize("name", ["max_completion_tokens", "max_output_tokens"])
async def test_an_answer_is_cut_under_whichever_name_its_limit_was_sent(name: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"choices": [{"message": {"content": "So on. " * 3000}, "finish_reason": "stop"}]})

    wire = OpenAICompatible()
    async with serving(handler) as call:
        completion = await wire(call._replace(parameters={name: 512}))
    await wire.close()
    assert completion.notes == ("the answer was cut: the provider sent more than 8 times max_tokens (512)",)


@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_without_end_is_read_to_a_bound(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BYTES", 2**20)

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"error": {"message": "')
        while True:
            await response.write(b"and so on " * 1000)

    wire = OpenAICompatible()
    with anyio.fail_after(20):
        async with serving(handler) as call:
            with pytest.raises(errors.ServerFailed) as told:
                await wire(call)
    await wire.close()
    assert len(str(told.value)) < 1000
