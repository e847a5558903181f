"""How images leave: in the form of each provider, without a download, and not in spans or to programs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moa_mcp.errors import ParameterRefused
from moa_mcp.images import image_of_bytes, read_image
from moa_mcp.middleware import Model, Shared, stack
from moa_mcp.middleware.limits import Limits
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.failures.refusals import refused
from moa_mcp.routing.images import takes, takes_images
from moa_mcp.telemetry import content
from moa_mcp.values import IMAGES, Call, Completion, Image, Message, Place, Program, Target
from tests.providers.test_reasoning_parameters import CHAT, CLAUDE, GEMINI, answer
from tests.support.byte_server import ByteServer
from tests.support.over import over
from tests.support.pictures import png

pytestmark = pytest.mark.anyio

PICTURE = image_of_bytes(png())
BASE64 = PICTURE.url.partition(",")[2]
ADDRESS = read_image("https://example.com/a.png?signature=abc")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def litellm() -> AsyncIterator[Model]:
    async with over("litellm") as wire:
        yield wire


async def asked(provider: Model, target: Target, *images: Image, recurs: bool = False) -> Completion:
    async def usable(_: str) -> tuple[Target, ...]:
        return (target,)

    messages = Message("system", "Be brief."), Message("user", "Why?", images)
    call = Call("run", Place(1, 1), "m", messages, {"max_tokens": 99}, 1, prompt_recurs=recurs)
    return await stack(provider, usable, Shared(Limits(attempts=1)), lambda _: None)(call)


def last_of(server: ByteServer, name: str) -> Any:
    (body,) = server.asked(name)
    return body["messages"][-1]["content"]


async def test_an_openai_compatible_api_gets_the_images_before_the_text(server: ByteServer) -> None:
    target = Target("openai/gpt-5", "openai", server.script("openai", answer(CHAT)), "none", wire_model="gpt-5")
    async with over("openai") as wire:
        assert (await asked(wire, target, PICTURE, ADDRESS)).notes == ()
    assert last_of(server, "openai") == [
        {"type": "image_url", "image_url": {"url": PICTURE.url}},
        {"type": "image_url", "image_url": {"url": ADDRESS.url}},
        {"type": "text", "text": "Why?"},
    ]


async def test_claude_gets_data_and_addresses_and_may_cache_all_of_the_prompt(
    litellm: Model, server: ByteServer
) -> None:
    target = Target("anthropic/claude-opus-5", "anthropic", server.script("claude", answer(CLAUDE)), "none")
    await asked(litellm, target, PICTURE, ADDRESS, recurs=True)
    assert last_of(server, "claude") == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BASE64}},
        {"type": "image", "source": {"type": "url", "url": ADDRESS.url}},
        {"type": "text", "text": "Why?", "cache_control": {"type": "ephemeral"}},
    ]


async def test_gemini_gets_data_and_no_address_which_litellm_would_download(litellm: Model, server: ByteServer) -> None:
    base = server.script("gemini", answer(GEMINI))
    target = Target("gemini/gemini-2.5-flash", "gemini", f"{base}/v1beta", "none")
    completion = await asked(litellm, target, PICTURE, ADDRESS)
    (body,) = server.asked("gemini")
    data, text = body["contents"][-1]["parts"]
    assert data["inline_data"]["data"] == BASE64
    assert text["text"].endswith("[image 2 was not sent: this model takes no addresses of images]")
    assert completion.notes == (
        "gemini/gemini-2.5-flash takes no addresses of images; image 2 was not sent; give the file instead",
    )


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (Target("openai/gpt-6-luna", "openai", wire_model="m"), (True, True)),
        (Target("openai/some-model", "openai", wire_model="m"), (True, True)),
        (Target("openai/some-model", "openai", wire_model="m", images=False), (False, False)),
        (Target("openai/llama3.1:8b", "ollama", wire_model="m"), (False, False)),
        (Target("openai/llama3.1:8b", "ollama", wire_model="m", images=True), (True, False)),
        (Target("openai/qwen2.5vl:7b", "ollama", wire_model="m"), (True, False)),
        (Target("openai/gemma3:1b", "ollama", wire_model="m"), (False, False)),
        (Target("openrouter/anthropic/claude-opus-4.5", "openrouter", wire_model="m"), (True, True)),
        (Target("bedrock/global.anthropic.claude-opus-5", "bedrock"), (True, False)),
        (Target("deepseek/deepseek-chat", "deepseek", wire_model="m"), (False, False)),
        (Target("command/claude", "command", program=Program(("claude",))), (False, False)),
    ],
    ids=lambda value: value.model if isinstance(value, Target) else "",
)
def test_it_is_known_which_models_take_images_and_which_routes_take_addresses(
    target: Target, seen: tuple[bool, bool]
) -> None:
    assert (takes_images(target), takes(target, ADDRESS)) == seen


@pytest.mark.parametrize(
    ("status", "message", "code", "these"),
    [
        (400, "Invalid content type. image_url is only supported by certain models.", "", False),
        (404, "No endpoints found that support image input", "", False),
        (422, "Image input is not enabled for this model", "", False),
        (400, "At most 0 image(s) may be provided in one request.", "", False),
        (400, "moonshot-v1 is not a multimodal model", "", False),
        (500, "this model is missing data required for image input", "", False),
        (400, "Model does not support images. Please use a model that does.", "", False),
        (400, "This model doesn't support the image content block that you provided.", "", False),
        (400, "messages.0.content: value must be a string", "", False),
        (400, "messages.1.content.0.image.source.base64: image exceeds 5 MB maximum", "", True),
        (400, "Could not process image", "", True),
        (400, "Error while downloading https://example.com/a.png.", "invalid_image_url", True),
        (400, "Image URLs are not supported", "", True),
        (400, "You uploaded an unsupported image. Please make sure your image is valid.", "", True),
        (400, "temperature must be at most 1", "", None),
        (500, "failed to load the model from its url", "", None),
        (503, "image input is not supported while the server is overloaded", "", None),
        (429, "too many image requests per minute", "", None),
        (401, "invalid image of a key", "", None),
    ],
)
def test_a_refusal_of_images_is_told_from_one_of_these_images_and_from_other_refusals(
    status: int, message: str, code: str, these: bool | None
) -> None:
    error = refused(Target("openai/m", "openai"), status, Fault(message, code, codes=(code,)))
    of_images = isinstance(error, ParameterRefused) and error.parameter == IMAGES
    assert (error.reason == "value" if isinstance(error, ParameterRefused) and of_images else None) == these


def test_spans_describe_images_and_do_not_hold_them() -> None:
    attributes = json.dumps(content.of_prompt([Message("user", "Why?", (PICTURE, ADDRESS))]))
    assert "PNG, 4 x 3, 1 kB" in attributes
    assert BASE64[:40] not in attributes
    assert "signature" not in attributes
