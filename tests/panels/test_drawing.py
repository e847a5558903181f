"""Members of a panel: different makers first, then further models of one maker, then samples."""

from __future__ import annotations

import pytest

from moa_mcp.panels import Candidate
from moa_mcp.panels.drawing import drawn
from moa_mcp.panels.makers import maker_of
from moa_mcp.steps.panel import Tier


def model(name: str, maker: str, tier: Tier | None) -> Candidate:
    return Candidate(name, maker, tier, ())


MODELS = (
    model("luna", "OpenAI", "fast"),
    model("haiku", "Anthropic", "fast"),
    model("terra", "OpenAI", "balanced"),
    model("terra-old", "OpenAI", "balanced"),
    model("sonnet", "Anthropic", "balanced"),
    model("argon", "Google", "strong"),
    model("sol", "OpenAI", "strong"),
    model("astra", "OpenAI", "reasoning"),
)
OPENAI = tuple(each for each in MODELS if each.maker == "OpenAI")


def names(tier: Tier, count: int, of: tuple[Candidate, ...] = MODELS, *taken: str) -> list[str]:
    return [each.name for each in drawn(of, tier, count, [each for each in of if each.name in taken])]


@pytest.mark.parametrize(
    ("tier", "count", "expected"),
    [
        ("balanced", 2, ["terra", "sonnet"]),
        ("balanced", 3, ["terra", "sonnet", "argon"]),
        ("balanced", 5, ["terra", "sonnet", "argon", "terra-old", "sol"]),
        ("fast", 3, ["luna", "haiku", "terra"]),
        ("strong", 3, ["argon", "sol", "sonnet"]),
        ("reasoning", 2, ["astra", "argon"]),
    ],
)
def test_different_makers_come_first_and_near_tiers_before_a_repetition(
    tier: Tier, count: int, expected: list[str]
) -> None:
    assert names(tier, count) == expected


def test_one_maker_gives_its_different_models_and_then_samples() -> None:
    assert names("strong", 6, OPENAI) == ["sol", "astra", "terra", "terra-old", "sol", "astra"]


def test_one_model_gives_samples() -> None:
    assert names("balanced", 3, MODELS[:1]) == ["luna", "luna", "luna"]


def test_no_model_gives_no_members() -> None:
    assert names("balanced", 3, ()) == []


def test_a_far_tier_serves_if_there_is_no_other() -> None:
    assert names("reasoning", 2, MODELS[:2]) == ["luna", "haiku"]


def test_local_models_serve_every_tier_after_hosted_ones() -> None:
    local = model("llama", "Meta", None)
    assert names("fast", 3, (local, *MODELS[:2])) == ["luna", "haiku", "llama"]
    assert names("reasoning", 1, (local,)) == ["llama"]


def test_models_that_are_taken_come_last_and_their_makers_count() -> None:
    assert names("balanced", 4, MODELS, "terra") == ["sonnet", "argon", "terra-old", "sol"]
    assert names("balanced", 1, MODELS[:1], "luna") == ["luna"]


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("llama3.3:70b", "Meta"),
        ("Qwen/Qwen3-8B-GGUF", "Alibaba"),
        ("qwq:32b", "Alibaba"),
        ("gpt-oss:20b", "OpenAI"),
        ("hf.co/unsloth/gemma-3-4b-it-GGUF:Q4_K_M", "Google"),
        ("mixtral:8x7b", "Mistral"),
        ("solar-pro:22b", "solar"),
        ("7b-model", "7b-model"),
    ],
)
def test_the_maker_of_a_local_model_is_read_from_its_name(name: str, maker: str) -> None:
    assert maker_of(name) == maker
