"""Optional features of providers, according to their documentation: several answers per request, prompt caching.

The documentation may be wrong. If a request returns too few answers, the rest is requested again, and the limit of the
provider is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping

from moa_mcp.values import Target

SAMPLES: Mapping[str, int] = {
    "azure": 128,
    "dashscope": 4,
    "deepinfra": 4,
    "fireworks_ai": 128,
    "gemini": 8,  # 2.x models; 3.x models reject the request, at no cost
    "hosted_vllm": 128,
    "mistral": 128,
    "moonshot": 5,
    "openai": 128,
    "together_ai": 128,
    "vertex_ai": 8,
    "xai": 128,
}
"""By provider: how many answers one request can return. Its prompt is billed once.

Providers that return only one answer are not listed: Groq rejects larger numbers; DeepSeek, OpenRouter, Cerebras,
Anthropic and Bedrock do not have the parameter; Ollama, LM Studio and llama.cpp's servers ignore it.
"""

_MARKED = frozenset({"anthropic", "azure_ai", "bedrock", "openrouter", "vertex_ai"})


def samples_at(provider: str, model: str, *, own_server: bool) -> int:
    """Return how many answers one request can return; 1 if nothing is known about the server."""
    return 1 if own_server or _is_claude(model) else SAMPLES.get(provider, 1)


def wants_cache_mark(target: Target) -> bool:
    """Whether a provider caches a prompt only up to an explicit `cache_control` mark."""
    return target.provider in _MARKED and _is_claude(target.model)


def _is_claude(model: str) -> bool:
    return "claude" in model
