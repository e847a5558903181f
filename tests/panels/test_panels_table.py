"""The table of living models: every entry can be used, and one key is enough for a panel."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import anyio
import pytest

from moa_mcp.errors import ConfigError
from moa_mcp.panels.table import KnownModel, known_models, read
from moa_mcp.routing import catalog, credentials
from moa_mcp.routing.local import Listing
from moa_mcp.routing.routes import Route, Routes
from moa_mcp.steps.panel import TIERS, Tier

MODELS = known_models()
KEYS = (
    "anthropic",
    "azure",
    "bedrock",
    "deepseek",
    "fireworks_ai",
    "gemini",
    "groq",
    "mistral",
    "novita",
    "openai",
    "openrouter",
    "together_ai",
    "vercel_ai_gateway",
    "xai",
)
"""Providers of which the table has a panel with one key."""
FEWER: Mapping[str, int] = {"deepseek": 2}
"""Providers that serve fewer than three models that chat."""
NO_STRONG = {"groq"}
"""Providers without a strong model: their balanced models take its place."""
CHECKED_WITH = "1.110.2"
"""The release of litellm whose table models.toml was last compared with."""
needs_its_table = pytest.mark.skipif(
    version("litellm") != CHECKED_WITH, reason="what other releases of litellm change is for tools/models.py to report"
)
MINI = """
[mini]
maker = "OpenAI"
tier = "balanced"
routes = ["openai/gpt-4o-mini"]
window = 1000
source = "litellm"
checked = 2026-11-26
"""


def environment(provider: str) -> dict[str, str]:
    """Return an environment with only the usual variables of a provider."""
    return dict.fromkeys(credentials.KEYS[provider][0], "https://example.test")


def usable_with(provider: str) -> list[KnownModel]:
    """Return the models that can be used if only a provider's key is set."""

    async def unreachable(_address: str, _key: str | None) -> Listing | None:
        return None

    async def found() -> list[KnownModel]:
        routes = Routes({name: model.routes for name, model in MODELS.items()}, environment(provider), unreachable)
        return [model for name, model in MODELS.items() if any(each.target for each in await routes.states(name))]

    return anyio.run(found)


@pytest.mark.parametrize("provider", KEYS)
def test_one_key_is_enough_for_a_panel_of_different_models(provider: str) -> None:
    assert len(usable_with(provider)) >= FEWER.get(provider, 3)


@pytest.mark.parametrize("provider", KEYS)
def test_one_key_has_fast_models_and_strong_ones(provider: str) -> None:
    tiers: set[Tier] = {model.tier for model in usable_with(provider)}
    assert "fast" in tiers
    assert ("strong" in tiers) == (provider not in NO_STRONG)
    assert tiers & {"balanced", "strong"}


@pytest.mark.parametrize("provider", ["openrouter", "vercel_ai_gateway", "bedrock", "together_ai"])
def test_a_gateway_has_balanced_models_of_four_makers(provider: str) -> None:
    assert len({model.maker for model in usable_with(provider) if model.tier == "balanced"}) >= 4


def test_every_tier_has_the_models_of_several_makers_first() -> None:
    makers: defaultdict[str, list[str]] = defaultdict(list)
    for model in MODELS.values():
        makers[model.tier].append(model.maker)
    assert tuple(makers) == TIERS
    assert all(len(set(first[:4])) >= 3 for first in makers.values())
    assert len({model.maker for model in MODELS.values()}) >= 10


@needs_its_table
def test_a_model_has_60_days_left_when_it_is_checked() -> None:
    ending = {
        route.model
        for model in MODELS.values()
        for route in model.routes
        if (catalog.end_date(route.model) or model.ends or date.max) - model.checked <= timedelta(days=60)
    }
    assert ending == set()


def test_a_successor_ends_later() -> None:
    for model in MODELS.values():
        if model.successor is not None:
            assert (MODELS[model.successor].ends or date.max) > (model.ends or model.checked)


def test_a_chain_of_successors_ends() -> None:
    for name in MODELS:
        chain = [name]
        while (following := MODELS[chain[-1]].successor) is not None:
            assert following not in chain
            chain.append(following)


@needs_its_table
@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_every_route_has_a_price_and_a_window(model: KnownModel) -> None:
    for route in model.routes:
        assert route.usd_per_million or catalog.price(route.model), route
        assert route.window or catalog.window(route.model), route


@needs_its_table
@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_name_that_litellm_lacks_has_another_source(model: KnownModel) -> None:
    lacking = [route.model for route in model.routes if not catalog.is_listed(route.model)]
    assert bool(lacking) == (model.source != "litellm")
    assert all(name.startswith(("openrouter/", "vercel_ai_gateway/")) for name in lacking)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(text, "utf-8")
    return path


def test_an_entry_gives_its_price_and_window_to_the_routes_that_litellm_lacks(tmp_path: Path) -> None:
    routes = '["openai/gpt-4o-mini", "openrouter/none/such"]\nusd_per_million = { prompt = 2, completion = 10 }'
    text = MINI.replace('["openai/gpt-4o-mini"]', routes)
    listed, lacking = read(written(tmp_path, text))["mini"].routes
    assert listed == Route(model="openai/gpt-4o-mini")
    assert lacking.window == 1000
    assert lacking.usd_per_million is not None
    assert (lacking.usd_per_million.prompt, lacking.usd_per_million.completion) == (Decimal(2), Decimal(10))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"balanced"', '"medium"', "mini, tier: "),
        ("window = 1000", 'window = "1000"', "mini, window: "),
        ("window = 1000", "windows = 1000", "mini, windows: "),
        ('["openai/gpt-4o-mini"]', "[]", "mini, routes: "),
        ('"openai/gpt-4o-mini"', '"antropic/claude"', "antropic/claude has no known provider"),
        ('source = "litellm"', 'source = "litellm"\nsuccessor = "opus"', "'opus' should be another model of this file"),
        (
            '"openai/gpt-4o-mini"',
            '"openai/gpt-6-sol", "openai/gpt-6-sol"',
            "openai/gpt-6-sol is also in mini",
        ),
        ("[mini]", "[mini", "can't be read"),
    ],
)
def test_an_invalid_entry_is_reported_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        read(written(tmp_path, MINI.replace(old, new)))
