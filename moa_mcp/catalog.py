"""litellm's table of models and prices, read as data: litellm itself is not imported, which would take seconds."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from moa_mcp.values import Usage

_TABLE = "model_prices_and_context_window_backup.json"
_TIER = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")


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


class Tier(NamedTuple):
    """What every token of a call costs whose prompt has more than `above` tokens."""

    above: int
    prompt: Decimal
    completion: Decimal
    cached: Decimal


class Price(NamedTuple):
    """What one token costs, in US dollars."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal
    """For prompt tokens that the provider had in its cache."""
    source: str
    """Who says so."""
    tiers: tuple[Tier, ...] = ()
    """What longer prompts cost instead, the shortest first."""

    def cost_usd(self, usage: Usage) -> Decimal:
        """Return what one call costs, in US dollars."""
        reached = [tier for tier in self.tiers if usage.prompt_tokens > tier.above]
        rate = reached[-1] if reached else self
        fresh_tokens = usage.prompt_tokens - usage.cached_tokens
        return (
            fresh_tokens * rate.prompt + usage.cached_tokens * rate.cached + usage.completion_tokens * rate.completion
        )


def price(model: str) -> Price | None:
    """Return what a model's tokens cost; None if no price is known.

    `model` carries its provider's prefix. A price of zero is taken for unknown, since the table uses it for both.
    """
    entry = _entry(model)
    prompt, completion = _price(entry, "input_cost_per_token"), _price(entry, "output_cost_per_token")
    if prompt is None or completion is None or prompt + completion == 0:
        return None
    cached = _price(entry, "cache_read_input_token_cost")
    base = Price(prompt, completion, cached or prompt, source())
    thousands = sorted(int(found[1]) for key in entry if (found := _TIER.fullmatch(key)))
    return base._replace(tiers=tuple(_tier(entry, each, base) for each in thousands))


def _tier(entry: dict[str, Any], thousands: int, base: Price) -> Tier:
    above = f"above_{thousands}k_tokens"
    prompt = _price(entry, f"input_cost_per_token_{above}") or base.prompt
    completion = _price(entry, f"output_cost_per_token_{above}") or base.completion
    own = _price(entry, f"cache_read_input_token_cost_{above}") or _price(entry, "cache_read_input_token_cost")
    return Tier(1000 * thousands, prompt, completion, own or prompt)


@cache
def source() -> str:
    """Return the name of the table: prices change with litellm's releases."""
    try:
        return f"litellm {version('litellm')} table"
    except PackageNotFoundError:  # bundled without its metadata; a call that was paid must not fail for that
        return "litellm table"


def cost_usd(model: str, usage: Usage) -> Decimal | None:
    """Return what one call to a model cost, in US dollars; None if no price is known."""
    known = price(model)
    return None if known is None else known.cost_usd(usage)


def _entry(model: str) -> dict[str, Any]:
    provider, _, name = model.partition("/")
    bare = _table().get(name, {})
    return _table().get(model) or (bare if bare.get("litellm_provider") == provider else {})


def _price(entry: dict[str, Any], key: str) -> Decimal | None:
    value = entry.get(key)
    return None if value is None else Decimal(str(value))
