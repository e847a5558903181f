"""What providers can do beside answering one call with one text, as far as their documentation says.

What a provider then does is observed: an answer that does not come is asked for again, and remembered.
"""

from __future__ import annotations

from collections.abc import Mapping

from moa_mcp.values import Target

SAMPLES: Mapping[str, int] = {
    "azure": 128,
    "dashscope": 4,
    "deepinfra": 4,
    "fireworks_ai": 128,
    "gemini": 8,  # the 2.x models; 3.x refuse it, which costs nothing
    "hosted_vllm": 128,
    "mistral": 128,
    "moonshot": 5,
    "openai": 128,
    "together_ai": 128,
    "vertex_ai": 8,
    "xai": 128,
}
"""By provider: how many answers one request can bring, with its prompt billed once.

Left out since one is all: Groq refuses more; DeepSeek, OpenRouter, Cerebras, Anthropic and Bedrock do not know the
parameter; Ollama, LM Studio and llama.cpp's servers answer once whatever is asked.
"""

_MARKED = frozenset({"anthropic", "azure_ai", "bedrock", "openrouter", "vertex_ai"})


def samples_at(provider: str, model: str, *, own_server: bool) -> int:
    """Return how many answers one request can bring; one where nothing is known of the server."""
    return 1 if own_server or _is_claude(model) else SAMPLES.get(provider, 1)


def wants_cache_mark(target: Target) -> bool:
    """Whether a provider caches a prompt only up to where it is told to, with `cache_control`."""
    return target.provider in _MARKED and _is_claude(target.model)


def _is_claude(model: str) -> bool:
    return "claude" in model
