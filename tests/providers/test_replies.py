"""What real providers and servers send is read right: every file of `replies/`, through the real client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module

import anyio
import pytest

from moa_mcp import errors
from moa_mcp.middleware import Limits, Model, Shared, stack
from moa_mcp.providers.transports import Real
from moa_mcp.values import Target
from tests.support.byte_server import ByteServer
from tests.support.shapes import Case, Sent, cases, outcome, shapes

pytestmark = pytest.mark.anyio

COVERED = {
    *("openai", "anthropic", "gemini", "gemini-openai", "openrouter", "groq", "mistral", "deepseek", "xai", "together"),
    *("fireworks", "ollama", "lm-studio", "llama.cpp", "vllm", "sglang", "azure"),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def real() -> AsyncIterator[Real]:
    real = Real()
    await real.ready({"openai", "litellm"})
    yield real
    await real.close()
    await import_module("litellm").close_litellm_async_clients()


@pytest.mark.parametrize("case", cases(), ids=str)
async def test_a_reply_is_read_right(case: Case, real: Real, server: ByteServer) -> None:
    base, heard = server.script(case.key, *(each.bytes() for each in case.shape.sent)), list[str]()
    call = case.call(base, heard)
    with anyio.fail_after(10):
        came = await outcome(_layers(real, call.target) if case.shape.layers else real, call, heard)
    wanted, found = came.against(case)
    assert found == wanted
    asked = server.asked(case.key)
    assert len(asked) == len(case.shape.sent)
    for sent, request in zip(case.shape.sent, asked, strict=True):
        assert {name: request.get(name) for name in sent.wants} == _given(sent)


def _given(sent: Sent) -> dict[str, object]:
    return {name: None if value == "nothing" else value for name, value in sent.wants.items()}


def _layers(real: Model, target: Target | None) -> Model:
    async def usable(_: str) -> tuple[Target, ...]:
        assert target is not None
        return (target,)

    return stack(real, usable, Shared(Limits(attempts=1)), lambda _: None)


def test_every_expected_failure_is_one_of_ours() -> None:
    for shape in shapes():
        assert (shape.expect.error is None) != (shape.expect.text is None), shape.name
        if shape.expect.error:
            assert issubclass(getattr(errors, shape.expect.error), errors.CallError)


def test_the_providers_that_people_use_are_all_there() -> None:
    assert {shape.provider for shape in shapes()} >= COVERED
