"""What a run knows about its models to judge slow calls."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moa_mcp.errors import MissingKey
from moa_mcp.planning.estimate import Priced, estimate
from moa_mcp.planning.slow_calls import Shares, reasoning, shares
from moa_mcp.testing import pipeline
from moa_mcp.values import CallSettings, Price, Question, Rates, Target
from tests.support.tables import AGGREGATE, steps

PANEL = pipeline(steps('{ step = "propose", agents = ["a", "b", { model = "c", samples = 2 }] }', AGGREGATE))


def price(cents: int) -> Price:
    return Price(Rates(*[Decimal(cents) / 100] * 4), "the test")


def shares_at(*cents: int | None, finished: int = 0) -> Shares:
    """Return the shares of the panel's calls if a token of each of its models costs so many cents."""
    prices = {
        alias: Priced("p/m", None if each is None else price(each), "the test")
        for alias, each in zip("abcz", cents, strict=True)
    }
    return shares(estimate(PANEL, Question("Why?"), prices), finished)


def test_the_shares_of_all_calls_are_the_whole_cost_and_a_dearer_model_has_a_larger_one() -> None:
    found = shares_at(1, 2, 1, 1)
    assert found[1, "a"] + found[1, "b"] + 2 * found[1, "c"] + found[2, "z"] == pytest.approx(1)
    assert [found[1, "b"], found[1, "c"]] == pytest.approx([2 * found[1, "a"], found[1, "a"]])


@pytest.mark.parametrize("cents", [(1, None, 5, 1), (0, 0, 0, 0)], ids=["a price is unknown", "all are free"])
def test_without_prices_the_shares_go_by_tokens(cents: tuple[int | None, ...]) -> None:
    assert shares_at(*cents) == pytest.approx(dict(shares_at(1, 1, 1, 1)))


def test_the_steps_that_are_left_keep_their_numbers() -> None:
    assert {step for step, _ in shares_at(1, 1, 1, 1, finished=3)} == {4, 5}


async def usable(alias: str) -> tuple[Target, ...]:
    match alias:
        case "a":
            return (Target("openai/gpt-5-nano", "openai"), Target("openai/gpt-4o", "openai"))
        case "b":
            return (Target("openai/gpt-5-nano", "openai", settings=CallSettings("none")),)
        case "c":
            return (Target("openai/gpt-4o", "openai", settings=CallSettings(thinking_tokens=1024)),)
        case "z":
            return (Target("simulated/gpt-5-nano", "simulated"),)
        case _:
            raise MissingKey("no key")


@pytest.mark.anyio
async def test_models_reason_by_their_routes_or_by_what_is_known_of_them() -> None:
    panel = pipeline(steps('{ step = "propose", agents = ["a", "b", "c", "lost"] }', AGGREGATE))
    assert await reasoning(panel, usable) == ("a", "c")
