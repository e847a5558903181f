"""Who trained a model, as far as its name or the table of known models says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from moa_mcp.config import Pipeline, models_of
from moa_mcp.model import Usable, targets_by_alias
from moa_mcp.panels.table import known_models

BY_NAME = {
    "chatgpt": "OpenAI",
    "claude": "Anthropic",
    "codex": "OpenAI",
    "command": "Cohere",
    "deepseek": "DeepSeek",
    "devstral": "Mistral",
    "gemini": "Google",
    "gemma": "Google",
    "glm": "Z.ai",
    "gpt-3": "OpenAI",
    "gpt-4": "OpenAI",
    "gpt-5": "OpenAI",
    "gpt-6": "OpenAI",
    "gpt-oss": "OpenAI",
    "granite": "IBM",
    "grok": "xAI",
    "kimi": "Moonshot",
    "llama": "Meta",
    "magistral": "Mistral",
    "meta": "Meta",
    "minimax": "MiniMax",
    "ministral": "Mistral",
    "mistral": "Mistral",
    "mixtral": "Mistral",
    "nemotron": "NVIDIA",
    "phi": "Microsoft",
    "qwen": "Alibaba",
    "qwq": "Alibaba",
    "wizardlm": "Microsoft",
}
"""By the beginning of a model's name."""


async def makers(pipeline: Pipeline, usable: Usable) -> Mapping[str, str]:
    """Return the known makers of the models of a pipeline, on the routes that would be used now.

    Empty if no step compares them: reading the table of models takes time.
    """
    if not any(step.compares_makers for step in pipeline.steps):
        return {}
    found = await targets_by_alias(usable, models_of(pipeline))
    known = {alias: known_maker(targets[0].model) for alias, targets in found.items() if targets}
    return {alias: maker for alias, maker in known.items() if maker is not None}


def known_maker(model: str) -> str | None:
    """Return the maker of a model, from a route or a name; None if neither the table nor the name says it."""
    short = _short(model)
    return _of_table().get(model) or _of_table().get(short) or by_name(short)


def maker_of(name: str) -> str:
    """Return the maker of a model of a local server from its name, or else the beginning of its name."""
    short = _short(name)
    return by_name(short) or re.split(r"[\d.:_-]", short)[0] or short


def by_name(short: str) -> str | None:
    """Return the maker whose names begin like this one; None if none does."""
    return next((maker for beginning, maker in BY_NAME.items() if short.startswith(beginning)), None)


def _short(name: str) -> str:
    return name.rpartition("/")[2].lower()


@cache
def _of_table() -> Mapping[str, str]:
    """Return the makers of the known models, by name and by route."""
    known = known_models().values()
    return {name: each.maker for each in known for name in (each.name, *(route.model for route in each.routes))}
