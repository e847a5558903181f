"""litellm's table of models and prices, read as data: litellm itself is not imported, which would take seconds."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from moa_mcp.values import Usage

_TABLE = "model_prices_and_context_window_backup.json"


@cache
def _table() -> dict[str, dict[str, Any]]:
    spec = find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        return {}
    path = Path(spec.submodule_search_locations[0]) / _TABLE
    try:
        return dict(json.loads(path.read_bytes()))
    except (
        OSError,
        ValueError,
    ):  # another release may keep it elsewhere: then nothing is known, and nothing breaks
        return {}


def provider_of(model: str) -> str | None:
    """Return the provider that a model name without a prefix belongs to; None if litellm does not list it."""
    entry = _table().get(model)
    return None if entry is None else str(entry.get("litellm_provider", "")) or None


def cost_usd(model: str, usage: Usage) -> Decimal | None:
    """Return what tokens of a model cost, in US dollars; None if no price is known.

    `model` carries its provider's prefix. Cached prompt tokens have their own price where the table has one.
    A price of zero is taken for unknown, since the table uses it for both.
    """
    entry = _entry(model)
    prompt, completion = _price(entry, "input_cost_per_token"), _price(entry, "output_cost_per_token")
    if prompt is None or completion is None or prompt + completion == 0:
        return None
    cached = _price(entry, "cache_read_input_token_cost") or prompt
    fresh_tokens = usage.prompt_tokens - usage.cached_tokens
    return fresh_tokens * prompt + usage.cached_tokens * cached + usage.completion_tokens * completion


def _entry(model: str) -> dict[str, Any]:
    provider, _, name = model.partition("/")
    bare = _table().get(name, {})
    return _table().get(model) or (bare if bare.get("litellm_provider") == provider else {})


def _price(entry: dict[str, Any], key: str) -> Decimal | None:
    value = entry.get(key)
    return None if value is None else Decimal(str(value))
