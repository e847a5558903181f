"""How providers take a limit of the tokens for reasoning, according to their documentation.

In the APIs of Anthropic, Google, Alibaba, OpenRouter and Vercel, these tokens are a part of the token limit. Providers
that are not listed take a reasoning effort only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from pydantic import JsonValue

from moa_mcp.values import Target

_Form: TypeAlias = Callable[[int], dict[str, JsonValue]]


def _anthropic(tokens: int) -> dict[str, JsonValue]:
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}


def _gateway(tokens: int) -> dict[str, JsonValue]:
    return {"reasoning": {"max_tokens": tokens}}


def _qwen(tokens: int) -> dict[str, JsonValue]:
    return {"enable_thinking": True, "thinking_budget": tokens}


def _vllm(tokens: int) -> dict[str, JsonValue]:
    return {"thinking_token_budget": tokens}


def _google(tokens: int) -> dict[str, JsonValue]:
    return {"extra_body": {"google": {"thinking_config": {"thinking_budget": tokens}}}}


_FORMS: Mapping[tuple[str, str], _Form] = {
    ("openai", "dashscope"): _qwen,
    ("openai", "gemini"): _google,
    ("openai", "hosted_vllm"): _vllm,
    ("openai", "litellm_proxy"): _anthropic,
    ("openai", "openrouter"): _gateway,
    ("openai", "vercel_ai_gateway"): _gateway,
    **{("litellm", name): _anthropic for name in ("anthropic", "azure_ai", "bedrock", "databricks", "gemini")},
    ("litellm", "vertex_ai"): _anthropic,
}
"""By transport and provider. litellm turns the form of Anthropic into that of the provider."""


def counts_thinking(target: Target) -> bool:
    """Return whether a target takes a number of tokens for reasoning."""
    return (target.transport, target.provider) in _FORMS


def thinking(target: Target | None, tokens: int) -> dict[str, JsonValue]:
    """Return the parameters that limit the reasoning of a call to a number of tokens."""
    form = None if target is None else _FORMS.get((target.transport, target.provider))
    return form(tokens) if form else {}
