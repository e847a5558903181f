"""The OpenAI-compatible API in the forms that its servers give it, beyond what both transports are held to."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from moa_mcp import errors
from moa_mcp.providers.openai.client import OpenAICompatible
from moa_mcp.providers.replies import billing
from moa_mcp.values import Call, Completion, Message, Place, Target, Usage
from tests.support.model_server import ModelServer, Reply
from tests.support.served import served_file

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def wire() -> AsyncIterator[OpenAICompatible]:
    wire = OpenAICompatible()
    yield wire
    await wire.close()


def call_to(url: str, model: str = "openai/m", key: str | None = None) -> Call:
    target = Target(model, model.partition("/")[0], url, key, wire_model="m")
    return Call("run", Place(1, 1), "m", (Message("user", "Why?"),), {}, 1, target=target)


class Saying:
    """A server that answers every request with the same."""

    def __init__(
        self, body: str, status: int = 200, *, content_type: str = "application/json", location: str = ""
    ) -> None:
        self._body, self._status = body, status
        self._headers = {"Content-Type": content_type, **({"Location": location} if location else {})}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=self._body.encode(), status=self._status, headers=self._headers)


async def failure(wire: OpenAICompatible, call: Call) -> errors.CallError:
    with pytest.raises(errors.CallError) as raised:
        await wire(call)
    return raised.value


async def test_what_openrouter_says_that_it_cost_is_the_cost(wire: OpenAICompatible, serving: ModelServer) -> None:
    serving.script("m", Reply("So.", usage={"cost": 0.00012}))
    asked = call_to(serving.url, "openrouter/m")
    assert (await wire(asked)).cost_usd == Decimal("0.00012")
    assert (await wire(asked._replace(on_text=lambda _: None))).cost_usd == Decimal("0.00012")
    own = {"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}
    serving.script("m", Reply("So.", usage=own))
    assert (await wire(asked)).cost_usd == Decimal("0.21")


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, Usage(5, 2)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}, Usage(5, 2, 4)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None}, Usage(5, 2)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 17,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            Usage(5, 12, 0, 10),
        ),
        ({"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 500}, Usage(8, 492, 0, 487)),
        ({"prompt_tokens": 8, "completion_tokens": 0, "total_tokens": 20}, Usage(8, 12, 0, 12)),
        (
            {"prompt_tokens": 8, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 40}},
            Usage(8, 45, 0, 40),
        ),
        (
            {
                "prompt_tokens": 8,
                "completion_tokens": 5,
                "total_tokens": 13,
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            Usage(8, 5),
        ),
        ({"prompt_tokens": 8, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}}, Usage(8, 5)),
        ({"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 0}, Usage(8, 5)),
        ({"prompt_tokens": "8", "completion_tokens": 5.0}, Usage(8, 5)),
        ({"input_tokens": 8, "output_tokens": 5}, Usage(8, 5)),
        ({"input_tokens": 8, "output_tokens": 5, "cache_read_input_tokens": 30}, Usage(38, 5, 30)),
        ({"prompt_tokens": "many"}, None),
        ({"completion_tokens": 5}, None),
        ({"prompt_tokens": 8, "completion_tokens": True}, None),
        ({"prompt_tokens": 8, "completion_tokens": 2.5}, None),
        ({"prompt_tokens": -5, "completion_tokens": 1e400}, None),
        ({"total_tokens": 50}, None),
        ({}, None),
    ],
)
def test_tokens_are_read_in_every_form_that_they_are_told_in(told: Any, usage: Usage | None) -> None:
    assert billing.usage(told) == usage


@pytest.mark.parametrize(
    "told",
    [
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 9, "completion_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 3},
        {"completion_tokens": 3},
        {"prompt_tokens": 9},
        {"total_tokens": 12},
        [],
        "none",
    ],
    ids=str,
)
async def test_counts_that_can_not_be_make_a_cost_unknown_and_never_zero(wire: OpenAICompatible, told: Any) -> None:
    body = {"choices": [{"message": {"content": "So."}, "finish_reason": "stop"}], "usage": told}
    async with Saying(json.dumps(body)) as url:
        completion = await wire(call_to(url, "openai/gpt-4o-mini"))
    assert (completion.text, completion.usage, completion.cost_usd) == ("So.", None, None)


async def test_counts_of_a_stream_are_not_taken_back_by_zeros_that_come_later(wire: OpenAICompatible) -> None:
    said = {"choices": [{"delta": {"content": "So."}, "finish_reason": "stop"}]}
    counts = [{"prompt_tokens": 9, "completion_tokens": 3}, {"prompt_tokens": 0, "completion_tokens": 0}]
    chunks = [said, *({"choices": [], "usage": usage} for usage in counts)]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    async with Saying(body, content_type="text/event-stream") as url:
        completion = await wire(call_to(url, "openai/gpt-4o-mini"))
    assert completion.usage == Usage(9, 3)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"error": {"message": "slow down", "code": 429}}', errors.RateLimited),
        ('{"choices": null}', errors.ServerFailed),
        ('{"choices": [null]}', errors.AnswerEmpty),
        ("[]", errors.ServerFailed),
        ("", errors.ServerFailed),
    ],
)
async def test_a_reply_that_holds_no_answer_is_a_failure_whatever_its_status(
    wire: OpenAICompatible, body: str, kind: type[errors.CallError]
) -> None:
    async with Saying(body) as url:
        assert type(await failure(wire, call_to(url))) is kind


async def test_the_parts_of_a_text_are_joined_without_the_thoughts_between(wire: OpenAICompatible) -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "So."}]
    body = {"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}
    async with Saying(json.dumps(body)) as url:
        assert await wire(call_to(url)) == Completion("So.", "openai/m", reasoning="Hm.")


async def test_a_stream_may_hold_comments_and_end_without_the_last_word(wire: OpenAICompatible) -> None:
    chunks = [{"choices": [{"delta": {"content": "So."}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}]
    body = ": waiting\r\n\r\n" + "\r\n\r\n".join(f"data:{json.dumps(chunk)}" for chunk in chunks)
    async with Saying(body, content_type="text/event-stream") as url:
        assert await wire(call_to(url)._replace(on_text=lambda _: None)) == Completion("So.", "openai/m")


async def test_a_fault_in_a_stream_is_told_as_one(wire: OpenAICompatible) -> None:
    body = 'data: {"choices": [{"delta": {"content": "So"}}]}\n\ndata: {"error": {"message": "no", "code": 502}}\n\n'
    async with Saying(body, content_type="text/event-stream") as url:
        told = await failure(wire, call_to(url)._replace(on_text=lambda _: None))
    assert (type(told), str(told)) == (errors.ServerFailed, f"openai/m: no (at {url}/chat/completions)")


async def test_a_server_that_does_not_stream_is_understood(wire: OpenAICompatible) -> None:
    pieces: list[str] = []
    async with Saying('{"choices": [{"message": {"content": "So."}, "finish_reason": "stop"}]}') as url:
        await wire(call_to(url)._replace(on_text=pieces.append))
    assert pieces == ["So."]


async def test_a_key_follows_no_redirection(wire: OpenAICompatible, serving: ModelServer) -> None:
    serving.clear()
    async with Saying("", status=307, location=f"{serving.url}/chat/completions") as url:
        told = await failure(wire, call_to(url, key="sk-12ab34cd56ef"))
    assert str(told) == f"openai/m: {url} redirects to {serving.url}/chat/completions; update its api_base"
    assert serving.requests == ()


async def test_a_route_without_an_address_is_refused(wire: OpenAICompatible) -> None:
    asked = call_to("")
    assert asked.target is not None
    told = await failure(wire, asked._replace(target=replace(asked.target, api_base=None)))
    assert "set its api_base" in str(told)


async def test_calls_share_connections_and_may_follow_a_close(serving: ModelServer) -> None:
    wire = OpenAICompatible()
    serving.script("m")
    await wire(call_to(serving.url)._replace(on_text=lambda _: None))
    await wire(call_to(serving.url))
    connector: Any = wire._connections.session("http", {}).connector
    assert sum(map(len, connector._conns.values())) == 1
    await wire.close()
    await wire(call_to(serving.url))
    await wire.close()
    with anyio.fail_after(5):
        await wire.close()


def test_a_run_whose_routes_all_speak_the_wire_never_loads_litellm(tmp_path: Path) -> None:
    script = """
import sys
from moa_mcp.__main__ import main
try:
    main()
finally:
    print(sorted({"litellm", "openai", "aiohttp"} & set(sys.modules)), file=sys.stderr)
"""
    with ModelServer() as server:
        config = served_file(server.url, tmp_path)
        asked = ["--config", str(config), "ask", "self_moa", "Why?", "-q"]
        done = subprocess.run(
            [sys.executable, "-c", script, *asked],
            env={**os.environ, "ANTHROPIC_API_KEY": "none"},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert (done.returncode, done.stdout) == (0, "answer 7 from gpt-5-nano-2025-08-07\n"), done.stderr
    assert done.stderr == "['aiohttp']\n"


async def test_a_string_in_a_stream_is_the_message_of_its_failure(wire: OpenAICompatible) -> None:
    async with Saying('data: "the model is gone"\n\n', content_type="text/event-stream") as url:
        error = await failure(wire, call_to(url)._replace(on_text=lambda _: None))
    assert "the model is gone" in str(error)


async def test_an_answer_is_found_in_two_envelopes_and_not_in_three(wire: OpenAICompatible) -> None:
    body: dict[str, Any] = {"choices": [{"message": {"content": "So."}, "finish_reason": "stop"}]}
    async with Saying(json.dumps({"data": {"result": body}})) as url:
        assert (await wire(call_to(url))).text == "So."
    async with Saying(json.dumps({"data": {"result": {"response": body}}})) as url:
        assert type(await failure(wire, call_to(url))) is errors.ServerFailed


async def test_a_reasoning_of_one_text_is_read(wire: OpenAICompatible) -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So."}]}
    body = {"object": "response", "status": "completed", "output": [{"type": "reasoning", "summary": "Hm."}, said]}
    async with Saying(json.dumps(body)) as url:
        completion = await wire(call_to(url))
    assert (completion.text, completion.reasoning) == ("So.", "Hm.")


async def test_a_client_may_be_made_ready_again(serving: ModelServer) -> None:
    wire = OpenAICompatible()
    await wire.ready()
    await wire.ready()
    assert (await wire(call_to(serving.url))).text
    await wire.close()


async def test_where_the_system_has_no_certificates_those_of_certifi_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serving: ModelServer
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    known: list[int] = []
    load = ssl.SSLContext.load_verify_locations

    def noted(context: ssl.SSLContext, *args: Any, **kwargs: Any) -> None:
        load(context, *args, **kwargs)
        known.append(context.cert_store_stats()["x509_ca"])

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    wire = OpenAICompatible()
    with pytest.raises(errors.CallError):
        await wire(call_to(serving.url.replace("http:", "https:")))
    await wire.close()
    assert known != []
    assert known[-1] > 0
