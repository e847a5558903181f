"""A long prompt, equal samples and a provider that caches: paid once, and what caching costs and saves is priced."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from importlib import import_module
from typing import Any

import anyio
import pytest
from aiohttp import web

from moa_mcp.engine.execute import RunSpec, execute
from moa_mcp.events import Event
from moa_mcp.middleware import Shared, stack
from moa_mcp.providers.litellm.client import LiteLLM
from moa_mcp.testing import pipeline
from moa_mcp.trace.trace import trace_of
from moa_mcp.values import Question, Target, Usage
from tests.support.model_server import ModelServer
from tests.support.tables import AGGREGATE, PROPOSE, steps

pytestmark = pytest.mark.anyio

LONG = 2000
"""Tokens of the prompt, as this provider counts."""
MODEL = "anthropic/claude-sonnet-4-5"
SIX = f'{{ step = "propose", agents = [{{ model = "{MODEL}", samples = 6 }}] }}'


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Messages:
    """Answers as Anthropic's API does, with a cache that can be read from once an answer to the prompt has begun."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._cached = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        marked = "cache_control" in json.dumps(body)
        kinds = ("cache_read_input_tokens", "cache_creation_input_tokens") if marked else ("input_tokens",)
        usage = {"input_tokens": 10, "output_tokens": 5, **dict.fromkeys(kinds, 0)}
        usage[kinds[0] if self._cached else kinds[-1]] += LONG
        self._cached = self._cached or marked
        message = {"id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "usage": usage}
        if not body.get("stream"):
            content = [{"type": "text", "text": "there"}]
            return web.json_response({**message, "content": content, "stop_reason": "end_turn"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in (
            {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "there"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ):
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        await response.write_eof()
        return response

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/messages", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_all_agents_of_a_step_are_sent_the_same_prompt_byte_for_byte(serving: ModelServer) -> None:
    provider = LiteLLM()
    serving.clear()

    async def usable(alias: str) -> tuple[Target, ...]:
        return (Target(f"openai/{alias}", "openai", serving.url, "a key"),)

    await provider.ready()
    layers = stack(provider, usable, Shared(), lambda _: None)
    synthesize = '{ step = "synthesize", agents = ["x", "y"] }'
    question = Question("Wie heißt „das“?", "Weil.", "Sei knapp.")
    chosen = pipeline(steps(PROPOSE, synthesize, AGGREGATE))
    ended = await execute(RunSpec("r", chosen, question, seed=0), layers, lambda _: None)
    await import_module("litellm").close_litellm_async_clients()
    assert ended.status == "complete"
    prompts = Counter(json.dumps(request.body["messages"]) for request in serving.requests)
    assert sorted(prompts.values()) == [1, 2, 3]


async def test_six_samples_of_a_long_prompt_write_it_to_the_cache_once_and_read_it_five_times() -> None:
    provider, server, events = LiteLLM(), Messages(), list[Event]()
    async with server.serving() as url:

        async def usable(_: str) -> tuple[Target, ...]:
            return (Target(MODEL, "anthropic", url, "a key"),)

        await provider.ready()
        layers = stack(provider, usable, Shared(cache_first=True), events.append)
        chosen = pipeline(steps(SIX, '{ step = "take", n = 1 }'))
        with anyio.fail_after(20):
            await execute(RunSpec("r", chosen, Question("Why? " * LONG), seed=0), layers, events.append)
    await import_module("litellm").close_litellm_async_clients()
    trace = trace_of(events)
    assert [body.get("stream", False) for body in server.bodies] == [True, *[False] * 5]
    assert trace.usage == Usage(6 * (LONG + 10), 30, 5 * LONG, 0, LONG)
    million = Decimal(10**6)
    assert trace.cost_usd == (60 * 3 + LONG * Decimal("3.75") + 5 * LONG * Decimal("0.3") + 30 * 15) / million
