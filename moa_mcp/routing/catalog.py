"""litellm's table of models and prices. It is read as a file, since importing litellm takes seconds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from moa_mcp.routing.hosts import wire_name
from moa_mcp.values import Price, Rates, Target

_TABLE = "model_prices_and_context_window_backup.json"
_NOTHING = Decimal(0)
_USUAL_CACHE_MINIMUM = 1024
_LISTED_AS = {"bedrock": "bedrock_converse", "cohere": "cohere_chat"}
"""Providers that the table lists under another name. Google's have a suffix instead: vertex_ai-language-models."""
_MAKERS = {"google": "gemini", "x-ai": "xai", "mistralai": "mistral"}
"""Makers that gateways name otherwise than the table."""
_GATEWAYS = ("openrouter", "vercel_ai_gateway")
"""They serve models at their makers' prices, and the table lists few of their routes."""
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
    ):  # another release may store the table elsewhere: prices and windows are then unknown
        return {}


def provider_of(model: str) -> str | None:
    """Return the provider of a model name without a prefix; None if litellm does not list it."""
    entry = _table().get(model)
    return None if entry is None else str(entry.get("litellm_provider", "")) or None


def price_at(target: Target) -> Price | None:
    """Return the price of a token at a target; None if unknown."""
    return target.price or price(target.model)


@cache
def price(model: str) -> Price | None:
    """Return the price of a model's tokens; None if unknown.

    `model` has its provider's prefix. A price of zero counts as unknown, since the table uses zero for both free and
    unknown; only simulated models are free.
    """
    if model.startswith("simulated/"):
        return Price(Rates(_NOTHING, _NOTHING, _NOTHING, _NOTHING), "simulated")
    entry = _facts(model)
    ranges = [_rates(each, above=int(each["range"][0])) for each in entry.get("tiered_pricing", ())]
    thousands = sorted(int(found[1]) for key in entry if (found := _TIER.fullmatch(key)))
    (_, base), *tiers = ranges or [_rates(entry)]
    if base is None or base.prompt + base.completion == 0:
        return None
    tiers += [_rates(_of_tier(entry, each), above=1000 * each) for each in thousands]
    return Price(base, source(), tuple((above, rates) for above, rates in tiers if rates is not None))


def _of_tier(entry: dict[str, Any], thousands: int) -> dict[str, Any]:
    suffix = f"_above_{thousands}k_tokens"
    return {**entry, **{key.removesuffix(suffix): value for key, value in entry.items() if key.endswith(suffix)}}


def _rates(entry: dict[str, Any], *, above: int = 0) -> tuple[int, Rates | None]:
    prompt, completion = _price(entry, "input_cost_per_token"), _price(entry, "output_cost_per_token")
    if prompt is None or completion is None:
        return above, None
    cached = _price(entry, "cache_read_input_token_cost") or prompt
    reasoning = _price(entry, "output_cost_per_reasoning_token") or completion
    cache_write = _price(entry, "cache_creation_input_token_cost") or None  # the table writes 0 for no surcharge
    return above, Rates(prompt, completion, cached, reasoning, cache_write)


def caches_from(target: Target) -> int | None:
    """Return how many tokens a prompt needs for a discount from the prompt cache; None if no discount is known."""
    price = price_at(target)
    if price is None or price.rates.cached >= price.rates.prompt:
        return None
    return int(_entry(target.model).get("prompt_cache_min_tokens", _USUAL_CACHE_MINIMUM))


@cache
def largest_answer(model: str) -> int | None:
    """Return a model's maximum number of output tokens; None if unknown."""
    known = _facts(model).get("max_output_tokens")
    return int(known) if known else None


@cache
def default_effort(model: str) -> str | None:
    """Return a model's default reasoning effort; None if unknown."""
    return _entry(model).get("default_reasoning_effort")


def reasons(target: Target) -> bool:
    """Return whether a model is known to reason before it answers, unless its route switches that off."""
    effort = target.settings.reasoning_effort
    if effort or target.settings.thinking_tokens:
        return effort != "none"
    return _reasons(target.model)


@cache
def _reasons(model: str) -> bool:
    return not model.startswith("simulated/") and _entry(model).get("supports_reasoning") is True


def takes_schema(target: Target) -> bool:
    """Return whether a target is known to support a JSON schema for its reply."""
    return _takes_schema(target.model)


@cache
def _takes_schema(model: str) -> bool:
    return not model.startswith("simulated/") and _entry(model).get("supports_response_schema") is True


@cache
def takes_images(model: str) -> bool | None:
    """Return whether a model takes images; None if the table does not say so."""
    supported = _facts(model).get("supports_vision")
    return None if supported is None else bool(supported)


@cache
def is_described(model: str) -> bool:
    """Return whether the table says which features a model has, so that it lacks those which are missing there."""
    return any(key.startswith("supports_") for key in _facts(model))


def window_at(target: Target) -> int | None:
    """Return the context window at a target: tokens of prompt and answer together; None if unknown."""
    return target.window or window(target.model)


@cache
def window(model: str) -> int | None:
    """Return a model's context window in tokens; None if unknown."""
    entry = {} if model.startswith("simulated/") else _facts(model)
    known = entry.get("max_input_tokens") or entry.get("max_tokens")
    return int(known) if known else None


@cache
def end_date(model: str) -> date | None:
    """Return the date on which a provider shuts a model down; None if none is known.

    A gateway may still serve a model that its maker has ended, from another host.
    """
    return _end_date(_facts(model))


def _end_date(entry: dict[str, Any]) -> date | None:
    announced = entry.get("deprecation_date")
    try:
        return date.fromisoformat(announced) if announced else None
    except (TypeError, ValueError):
        return None


def ended(model: str) -> date | None:
    """Return the date on which a provider shut a model down; None if it has not, as far as its own entry says."""
    ends = _end_date(_entry(model))
    return ends if ends is not None and ends <= datetime.now(UTC).date() else None


def is_listed(model: str) -> bool:
    """Return whether the table has a model, whose name has its provider's prefix."""
    return bool(_entry(model))


def entries() -> Mapping[str, Mapping[str, Any]]:
    """Return the table as litellm has it: what is known of each model, by the model's name there."""
    return _table()


@cache
def source() -> str:
    """Return the name and version of the table: prices change with litellm's releases."""
    try:
        return f"litellm {version('litellm')} table"
    except PackageNotFoundError:  # bundled without package metadata; a paid call must not fail because of it
        return "litellm table"


def _entry(model: str) -> dict[str, Any]:
    provider, _, name = model.partition("/")
    table, bare = _table(), _table().get(name, {})
    served = str(bare.get("litellm_provider", ""))
    same = served in {provider, _LISTED_AS.get(provider)} or served.startswith(f"{provider}-")
    return table.get(model) or table.get(f"{provider}/{wire_name(provider, model)}") or (bare if same else {})


def _facts(model: str) -> dict[str, Any]:
    """Return what is known of a model; for a route of a gateway that is not listed, what is known at its maker."""
    listed = _entry(model)
    provider, _, rest = model.partition("/")
    maker, _, name = rest.partition("/")
    if listed or provider not in _GATEWAYS or not name:
        return listed
    there = _MAKERS.get(maker, maker)
    return _entry(f"{there}/{name}") or _entry(f"{there}/{name.replace('.', '-')}")


def _price(entry: dict[str, Any], key: str) -> Decimal | None:
    value = entry.get(key)
    return None if value is None else Decimal(str(value))
