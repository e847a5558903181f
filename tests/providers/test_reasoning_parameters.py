"""Effort and tokens for reasoning in the form of each provider, as they are on the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moa_mcp.errors import ParameterRefused
from moa_mcp.middleware import Limits, Model, Shared, stack
from moa_mcp.values import Call, CallSettings, Completion, Message, Parameters, Place, Target
from tests.support.byte_server import Bytes, ByteServer
from tests.support.over import over

pytestmark = pytest.mark.anyio

CHAT = {"choices": [{"message": {"content": "So."}, "finish_reason": "stop"}]}
CLAUDE = {
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "So."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "So."}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
NO_ROOM = "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation"
TOO_FEW = "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
SONNET = "claude-sonnet-4-5"
WIRES = [
    ("dashscope", {"enable_thinking": True, "thinking_budget": 2000}),
    ("gemini", {"extra_body": {"google": {"thinking_config": {"thinking_budget": 2000}}}}),
    ("hosted_vllm", {"thinking_token_budget": 2000}),
    ("litellm_proxy", {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
    ("openrouter", {"reasoning": {"max_tokens": 2000}}),
    ("vercel_ai_gateway", {"reasoning": {"max_tokens": 2000}}),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def litellm() -> AsyncIterator[Model]:
    async with over("litellm") as provider:
        yield provider


def answer(body: dict[str, Any], status: int = 200) -> Bytes:
    return Bytes([json.dumps(body).encode()], status, {"Content-Type": "application/json"})


def refusal(told: str) -> Bytes:
    return answer({"type": "error", "error": {"type": "invalid_request_error", "message": told}}, 400)


async def asked(provider: Model, target: Target, parameters: Parameters, *, shared: Shared | None = None) -> Completion:
    async def usable(_: str) -> tuple[Target, ...]:
        return (target,)

    call = Call("run", Place(1, 1), "m", (Message("user", "Why?"),), parameters, 1)
    return await stack(provider, usable, shared or Shared(Limits(attempts=1)), lambda _: None)(call)


@pytest.mark.parametrize(("provider", "form"), WIRES)
async def test_tokens_for_reasoning_have_the_form_of_the_provider(
    server: ByteServer, provider: str, form: dict[str, Any]
) -> None:
    target = Target(f"{provider}/m", provider, server.script("form", answer(CHAT)), "none", wire_model="m")
    async with over("openai") as wire:
        completion = await asked(wire, target, {"max_tokens": 4000, "thinking_tokens": 2000, "reasoning_effort": "low"})
    (body,) = server.asked("form")
    known = {"model", "messages", "usage"}
    assert {name: value for name, value in body.items() if name not in known} == {"max_tokens": 4000, **form}
    assert completion.notes == ()


async def test_litellm_takes_tokens_for_claude(litellm: Model, server: ByteServer) -> None:
    target = Target(f"anthropic/{SONNET}", "anthropic", server.script("claude", answer(CLAUDE)), "none")
    completion = await asked(litellm, target, {"max_tokens": 4000, "thinking_tokens": 2000})
    (body,) = server.asked("claude")
    assert (body["max_tokens"], body["thinking"]) == (4000, {"type": "enabled", "budget_tokens": 2000})
    assert completion.notes == ()


async def test_litellm_takes_tokens_for_gemini(litellm: Model, server: ByteServer) -> None:
    base = server.script("gemini", answer(GEMINI))
    target = Target("gemini/gemini-2.5-flash", "gemini", f"{base}/v1beta", "none")
    await asked(litellm, target, {"max_tokens": 4000, "thinking_tokens": 2000})
    (body,) = server.asked("gemini")
    assert body["generationConfig"]["max_output_tokens"] == 4000
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 2000


async def test_an_effort_for_which_the_limit_has_no_room_is_lowered_and_the_limit_is_kept(
    litellm: Model, server: ByteServer
) -> None:
    base = server.script("room", refusal(NO_ROOM), refusal(NO_ROOM), answer(CLAUDE))
    target, shared = Target(f"anthropic/{SONNET}", "anthropic", base, "none"), Shared(Limits(attempts=1))
    small, large = ({"max_tokens": limit, "reasoning_effort": "high"} for limit in (2048, 8000))
    completions = [await asked(litellm, target, sent, shared=shared) for sent in (small, small, large)]
    sent = [(body["max_tokens"], body["thinking"]["budget_tokens"]) for body in server.asked("room")]
    assert sent == [(2048, 4096), (2048, 2048), (2048, 1024), (2048, 1024), (8000, 4096)]
    note = (
        f"anthropic/{SONNET} has no room for reasoning_effort = high within 2048 tokens; sent low; "
        "raise max_tokens for more"
    )
    assert [completion.notes for completion in completions] == [(note,), (note,), ()]


async def test_an_effort_that_never_has_room_is_left_out(litellm: Model, server: ByteServer) -> None:
    base = server.script("none", refusal(NO_ROOM), answer(CLAUDE))
    target = Target(f"anthropic/{SONNET}", "anthropic", base, "none")
    completion = await asked(litellm, target, {"max_tokens": 512, "reasoning_effort": "low"})
    assert "thinking" not in server.asked("none")[-1]
    assert completion.notes[0].endswith("within 512 tokens; left out; raise max_tokens for more")


async def test_fewer_tokens_than_a_provider_takes_are_raised_to_its_least(litellm: Model, server: ByteServer) -> None:
    base = server.script("least", refusal(TOO_FEW), answer(CLAUDE))
    target = Target(f"anthropic/{SONNET}", "anthropic", base, "none")
    completion = await asked(litellm, target, {"max_tokens": 4000, "thinking_tokens": 500})
    assert [body["thinking"]["budget_tokens"] for body in server.asked("least")] == [500, 1024]
    assert completion.notes == (f"anthropic/{SONNET} takes at least 1024 for thinking_tokens, not 500; sent 1024",)


async def test_tokens_that_a_provider_says_leave_no_room_are_left_out(litellm: Model, server: ByteServer) -> None:
    base = server.script("tokens", refusal(NO_ROOM), answer(CLAUDE))
    target = Target(f"anthropic/{SONNET}", "anthropic", base, "none")
    completion = await asked(litellm, target, {"max_tokens": 4000, "thinking_tokens": 2000})
    assert "thinking" not in server.asked("tokens")[-1]
    assert completion.notes == (f"anthropic/{SONNET} does not take thinking_tokens; left out",)


async def test_a_route_with_too_many_tokens_for_a_small_limit_sends_none(litellm: Model, server: ByteServer) -> None:
    settings = CallSettings(thinking_tokens=4000)
    base = server.script("small", answer(CLAUDE))
    target = Target(f"anthropic/{SONNET}", "anthropic", base, "none", settings=settings)
    completion = await asked(litellm, target, {"max_tokens": 1500})
    assert "thinking" not in server.asked("small")[-1]
    assert completion.notes[0].endswith("leaves no room for an answer within 1500 tokens; left out")


async def test_a_model_without_reasoning_at_litellm_answers_without_the_effort(
    litellm: Model, server: ByteServer
) -> None:
    base = server.script("haiku", answer(CLAUDE))
    target = Target("anthropic/claude-3-haiku-20240307", "anthropic", base, "none")
    completion = await asked(litellm, target, {"max_tokens": 100, "reasoning_effort": "high"})
    assert completion.notes == ("anthropic/claude-3-haiku-20240307 does not take reasoning_effort; left out",)


async def test_a_reasoning_model_that_does_not_reason_keeps_its_temperature(server: ByteServer) -> None:
    base = server.script("none", answer(CHAT))
    target = Target("openai/gpt-5.2", "openai", base, "none", wire_model="gpt-5.2")
    async with over("openai") as wire:
        cold = await asked(wire, target, {"temperature": 0.2, "reasoning_effort": "none"})
        warm = await asked(wire, target, {"temperature": 0.2, "reasoning_effort": "high"})
    sent = [(body.get("temperature"), body["reasoning_effort"]) for body in server.asked("none")]
    assert sent == [(0.2, "none"), (None, "high")]
    assert (cold.notes, warm.notes) == ((), ("openai/gpt-5.2 does not take temperature; left out",))


async def test_a_temperature_that_is_refused_beside_reasoning_is_sent_without_it(
    litellm: Model, server: ByteServer
) -> None:
    told = refusal("`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation")
    base = server.script("beside", told, answer(CLAUDE))
    target, shared = Target(f"anthropic/{SONNET}", "anthropic", base, "none"), Shared(Limits(attempts=1))
    sent: Parameters = {"max_tokens": 4000, "temperature": 0.2}
    reasoned = await asked(litellm, target, {**sent, "thinking_tokens": 2000}, shared=shared)
    plain = await asked(litellm, target, sent, shared=shared)
    assert [body.get("temperature") for body in server.asked("beside")] == [0.2, None, 0.2]
    note = f"anthropic/{SONNET} does not take temperature together with thinking_tokens; left out"
    assert (reasoned.notes, plain.notes) == ((note,), ())


async def test_a_value_of_another_kind_that_is_refused_is_left_out(server: ByteServer) -> None:
    base = server.script("kind", refusal("Invalid value for 'top_p': must be a number"), answer(CHAT))
    target = Target("openai/m", "openai", base, "none", wire_model="m")
    async with over("openai") as wire:
        completion = await asked(wire, target, {"top_p": [1], "seed": 3})
    assert [body.get("top_p") for body in server.asked("kind")] == [[1], None]
    assert completion.notes == ("openai/m does not take top_p; left out",)


async def test_an_effort_that_is_refused_whatever_it_is_is_left_out(server: ByteServer) -> None:
    base = server.script(
        "words", refusal("Invalid reasoning effort."), refusal("Invalid reasoning effort."), answer(CHAT)
    )
    target = Target("xai/grok-4", "xai", base, "none", wire_model="grok-4")
    async with over("openai") as wire:
        completion = await asked(wire, target, {"reasoning_effort": "max"})
    assert [body.get("reasoning_effort") for body in server.asked("words")] == ["max", "high", None]
    assert completion.notes == ("xai/grok-4 does not take reasoning_effort; left out",)


async def test_a_refusal_of_reasoning_that_was_not_sent_is_an_error(server: ByteServer) -> None:
    base = server.script("unsent", refusal("reasoning_effort is not supported"))
    target = Target("openai/m", "openai", base, "none", wire_model="m")
    async with over("openai") as wire:
        with pytest.raises(ParameterRefused):
            await asked(wire, target, {"max_tokens": 9})
    assert len(server.asked("unsent")) == 1
