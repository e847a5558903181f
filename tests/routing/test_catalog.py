"""Prices and providers come from a table of litellm's that changes; what must hold of any of its editions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from moa_mcp.routing import catalog
from moa_mcp.values import Usage

MODEL = "openai/gpt-4o-mini"
MANY = 1_000_000


@pytest.mark.parametrize(
    ("model", "provider"), [("gpt-4o-mini", "openai"), ("claude-sonnet-4-5", "anthropic"), ("none", None), ("", None)]
)
def test_a_bare_name_has_the_provider_that_litellm_lists(model: str, provider: str | None) -> None:
    assert catalog.provider_of(model) == provider


def cost(usage: Usage, model: str = MODEL) -> Decimal:
    found = catalog.price(model)
    assert found is not None
    return found.cost_usd(usage)


def test_prompt_and_completion_are_paid_by_the_token() -> None:
    prompt, completion = cost(Usage(MANY, 0)), cost(Usage(0, MANY))
    assert Decimal("0.01") < prompt < completion < Decimal(100)
    assert cost(Usage(3 * MANY, 2 * MANY)) == 3 * prompt + 2 * completion
    assert cost(Usage()) == 0


def test_cached_tokens_have_their_own_price() -> None:
    assert 0 < cost(Usage(MANY, 0, cached_tokens=MANY)) < cost(Usage(MANY, 0))
    half = cost(Usage(MANY, 0, cached_tokens=MANY // 2))
    assert 2 * half == cost(Usage(MANY, 0, cached_tokens=MANY)) + cost(Usage(MANY, 0))


def test_a_model_without_a_price_for_cached_tokens_pays_the_full_one() -> None:
    assert cost(Usage(MANY, 0, cached_tokens=MANY), "openai/gpt-4") == cost(Usage(MANY, 0), "openai/gpt-4")


@pytest.mark.parametrize("model", ["openai/none", "ollama/llama3", "groq/gpt-4o-mini", "x"])
def test_a_price_that_nobody_knows_is_none_and_not_zero(model: str) -> None:
    assert catalog.price(model) is None


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An installation of litellm whose table may be missing or broken."""
    spec = ModuleSpec("litellm", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(catalog, "find_spec", lambda _: spec)
    catalog._table.cache_clear()
    catalog.price.cache_clear()
    yield tmp_path
    catalog._table.cache_clear()
    catalog.price.cache_clear()


TIERED = {
    "input_cost_per_token": 1e-06,
    "output_cost_per_token": 4e-06,
    "cache_read_input_token_cost": 1e-07,
    "input_cost_per_token_above_200k_tokens": 2e-06,
    "output_cost_per_token_above_200k_tokens": 6e-06,
    "cache_read_input_token_cost_above_200k_tokens": 2e-07,
    "input_cost_per_token_above_512k_tokens": 3e-06,
    "input_cost_per_token_above_200k_tokens_priority": 9e-06,
}


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(200_000, 10), "0.20004"),
        (Usage(200_001, 10), "0.400062"),
        (Usage(300_000, 10, cached_tokens=100_000), "0.42006"),
        (Usage(600_000, 10, cached_tokens=100_000), "1.51004"),
    ],
    ids=["at the threshold", "above it", "cached", "above the next, which says nothing of answers"],
)
def test_every_token_of_a_call_with_a_long_prompt_has_the_price_of_long_prompts(
    elsewhere: Path, usage: Usage, dollars: str
) -> None:
    (elsewhere / catalog._TABLE).write_text(json.dumps({"p/m": TIERED}))
    assert cost(usage, "p/m") == Decimal(dollars)


RANGES = {
    "tiered_pricing": [
        {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "range": [0, 32000.0]},
        {
            "input_cost_per_token": 3e-06,
            "output_cost_per_token": 4e-06,
            "output_cost_per_reasoning_token": 8e-06,
            "range": [32000.0, 128000.0],
        },
    ]
}


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(32_000, 10), "0.03202"),
        (Usage(32_001, 10), "0.096043"),
        (Usage(32_001, 10, reasoning_tokens=4), "0.096059"),
    ],
    ids=["in the first", "in the second", "thinking has its own price"],
)
def test_a_table_of_ranges_gives_the_price_of_the_range_that_a_prompt_is_in(
    elsewhere: Path, usage: Usage, dollars: str
) -> None:
    (elsewhere / catalog._TABLE).write_text(json.dumps({"p/m": RANGES}))
    assert cost(usage, "p/m") == Decimal(dollars)


def test_a_window_is_that_of_the_prompt_where_the_table_tells_them_apart(elsewhere: Path) -> None:
    table = {
        "p/both": {"max_input_tokens": 9000, "max_tokens": 1000},
        "p/one": {"max_tokens": 8192},
        "p/none": {"max_input_tokens": None},
    }
    (elsewhere / catalog._TABLE).write_text(json.dumps(table))
    assert [catalog.window(model) for model in (*table, "p/unknown")] == [9000, 8192, None, None]


def test_a_price_says_which_release_of_litellm_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    found = catalog.price(MODEL)
    assert found is not None
    assert found.source == f"litellm {version('litellm')} table"

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(catalog, "version", missing)
    assert catalog.source.__wrapped__() == "litellm table"


@pytest.mark.parametrize("table", [None, "no JSON"])
def test_without_a_table_nothing_is_known_and_nothing_breaks(elsewhere: Path, table: str | None) -> None:
    if table is not None:
        (elsewhere / catalog._TABLE).write_text(table)
    assert (catalog.provider_of("gpt-4o-mini"), catalog.price(MODEL)) == (None, None)


def test_without_litellm_nothing_is_known_and_nothing_breaks(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "find_spec", lambda _: None)
    assert (catalog.provider_of("gpt-4o-mini"), catalog.price(MODEL)) == (None, None)


@pytest.mark.parametrize(
    ("gateway", "maker"),
    [
        ("openrouter/openai/gpt-5-nano", "openai/gpt-5-nano"),
        ("openrouter/anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4-5"),
        ("openrouter/google/gemini-3.7-flash", "gemini/gemini-3.7-flash"),
        ("vercel_ai_gateway/openai/gpt-5.6-luna", "openai/gpt-5.6-luna"),
    ],
)
def test_a_gateway_has_the_price_the_window_and_the_end_of_the_model_at_its_maker(gateway: str, maker: str) -> None:
    assert catalog.price(gateway) == catalog.price(maker) is not None
    assert catalog.window(gateway) == catalog.window(maker) is not None
    assert catalog.end_date(gateway) == catalog.end_date(maker)


@pytest.mark.parametrize("gateway", ["openrouter/unknown/model", "openrouter/auto", "openrouter/openai/gpt-0"])
def test_nothing_is_known_of_a_model_that_its_maker_does_not_list(gateway: str) -> None:
    assert (catalog.price(gateway), catalog.window(gateway), catalog.end_date(gateway)) == (None, None, None)
