"""Prices and providers come from a table of litellm's that changes; what must hold of any of its editions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from moa_mcp import catalog
from moa_mcp.values import Usage

MODEL = "openai/gpt-4o-mini"
MANY = 1_000_000


@pytest.mark.parametrize(
    ("model", "provider"), [("gpt-4o-mini", "openai"), ("claude-sonnet-4-5", "anthropic"), ("none", None), ("", None)]
)
def test_a_bare_name_has_the_provider_that_litellm_lists(model: str, provider: str | None) -> None:
    assert catalog.provider_of(model) == provider


def cost(usage: Usage, model: str = MODEL) -> Decimal:
    found = catalog.cost_usd(model, usage)
    assert found is not None
    return found


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


@pytest.mark.parametrize("model", ["openai/none", "ollama/llama3", "groq/gpt-4o-mini", "simulated/gpt-4o-mini", "x"])
def test_a_price_that_nobody_knows_is_none_and_not_zero(model: str) -> None:
    assert catalog.cost_usd(model, Usage(MANY, MANY)) is None


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An installation of litellm whose table may be missing or broken."""
    spec = ModuleSpec("litellm", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(catalog, "find_spec", lambda _: spec)
    catalog._table.cache_clear()
    yield tmp_path
    catalog._table.cache_clear()


@pytest.mark.parametrize("table", [None, "no JSON"])
def test_without_a_table_nothing_is_known_and_nothing_breaks(elsewhere: Path, table: str | None) -> None:
    if table is not None:
        (elsewhere / catalog._TABLE).write_text(table)
    assert (catalog.provider_of("gpt-4o-mini"), catalog.cost_usd(MODEL, Usage(1, 1))) == (None, None)


def test_without_litellm_nothing_is_known_and_nothing_breaks(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "find_spec", lambda _: None)
    assert (catalog.provider_of("gpt-4o-mini"), catalog.cost_usd(MODEL, Usage(1, 1))) == (None, None)
