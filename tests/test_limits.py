"""How much is under way at once: slots and pace, with a clock that jumps."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest

from moa_mcp.errors import AuthFailed, RateLimited
from moa_mcp.model import Limits, Shared
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call, Completion, Target
from tests.clocks import jumping
from tests.layers import Layers, call_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


async def prefixed(alias: str) -> tuple[Target, ...]:
    """Serve ``p1``, ``p2`` … at the provider p, ``q1`` at q."""
    return (Target(f"{alias[0]}/{alias}", alias[0]),)


class Provider:
    """Takes a second for each call, and keeps when each began and how many were under way at most."""

    def __init__(self) -> None:
        self.began = anyio.current_time()
        self.starts: dict[str, float] = {}
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def __call__(self, call: Call) -> Completion:
        provider = call.agent[0]
        self.starts[call.agent] = round(anyio.current_time() - self.began, 3)
        self.under_way += Counter({provider: 1, "all": 1})
        self.most |= self.under_way
        await anyio.sleep(1)
        self.under_way -= Counter({provider: 1, "all": 1})
        return Completion("there", call.agent)


async def at_once(provider: Provider, limits: Limits, agents: list[str], timeout_s: float | None = None) -> Layers:
    layers = Layers(provider, prefixed, Shared(limits))
    calls = [call_of(agent, number, timeout_s) for number, agent in enumerate(agents, 1)]
    await anyio.amap(layers.ask, calls)
    return layers


def panel(provider: str, size: int) -> list[str]:
    return [f"{provider}{number}" for number in range(1, size + 1)]


async def test_never_more_calls_than_slots_are_under_way_at_a_provider() -> None:
    provider = Provider()
    await at_once(provider, Limits(provider_concurrency=2), panel("p", 7))
    assert provider.most == Counter({"p": 2, "all": 2})
    assert sorted(provider.starts.values()) == [0, 0, 1, 1, 2, 2, 3]


async def test_never_more_calls_than_slots_are_under_way_at_all() -> None:
    provider = Provider()
    await at_once(provider, Limits(concurrency=3), [*panel("p", 4), *panel("q", 4)])
    assert provider.most["all"] == 3
    assert sorted(provider.starts.values()) == [0, 0, 0, 1, 1, 1, 2, 2]


async def test_a_provider_whose_slots_are_full_does_not_hold_up_another() -> None:
    provider = Provider()
    await at_once(provider, Limits(concurrency=2, provider_concurrency=1), [*panel("p", 5), "q1"])
    assert provider.starts["q1"] == 0


async def test_a_provider_that_is_paced_does_not_hold_up_another() -> None:
    provider = Provider()
    limits = Limits(concurrency=2, provider_concurrency=64, requests_per_minute={"p": 1})
    await at_once(provider, limits, [*panel("p", 3), *panel("q", 2)])
    assert max(provider.starts[agent] for agent in panel("q", 2)) <= 1


async def test_the_slots_are_those_of_the_process_and_not_of_a_run() -> None:
    provider = Provider()
    shared = Shared(Limits(provider_concurrency=2))
    runs = [Layers(provider, prefixed, shared) for _ in range(3)]
    async with anyio.create_task_group() as tasks:
        for run in runs:
            for number in (1, 2):
                tasks.start_soon(run.ask, call_of(f"p{number}", number))
    assert provider.most["p"] == 2


async def test_waiting_for_a_slot_is_no_part_of_an_attempts_time() -> None:
    provider = Provider()
    layers = await at_once(provider, Limits(provider_concurrency=1), panel("p", 5), timeout_s=1.5)
    assert [outcome for _, _, outcome in layers.attempts] == ["answered"] * 5


async def test_the_requests_of_a_provider_are_spread_over_its_minute() -> None:
    provider = Provider()
    await at_once(provider, Limits(requests_per_minute={"p": 30}), [*panel("p", 4), *panel("q", 4)])
    assert sorted(provider.starts[agent] for agent in panel("p", 4)) == [0, 2, 4, 6]
    assert [provider.starts[agent] for agent in panel("q", 4)] == [0] * 4


async def test_a_pace_that_nobody_kept_is_not_made_up_for() -> None:
    provider = Provider()
    layers = Layers(provider, prefixed, Shared(Limits(requests_per_minute={"p": 30})))
    await layers.ask(call_of("p1", 1))
    await anyio.sleep(59)
    await anyio.amap(layers.ask, [call_of(agent, 2) for agent in ("p2", "p3")])
    assert sorted(provider.starts.values()) == [0, 60, 62]


async def test_a_call_that_fails_or_is_cancelled_gives_its_slot_back() -> None:
    shared = Shared(Limits(provider_concurrency=1, concurrency=1))
    await Layers(ScriptedModel(otherwise=AuthFailed("401")), prefixed, shared).failure(call_of("p1"))
    provider = Provider()
    with anyio.move_on_after(0.5):
        await Layers(provider, prefixed, shared).ask(call_of("p2"))
    with anyio.fail_after(2):
        assert await Layers(ScriptedModel(), prefixed, shared).ask(call_of("p3")) == Completion("p3 at 1.1", "p/p3")


async def test_a_retry_that_waits_holds_no_slot() -> None:
    shared = Shared(Limits(provider_concurrency=1))
    model = ScriptedModel({"p1": [RateLimited("429", retry_after_s=30), "late"]})
    order: list[str] = []

    async def ask(agent: str) -> None:
        order.append((await Layers(model, prefixed, shared).ask(call_of(agent))).text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "p1")
        await anyio.sleep(1)
        tasks.start_soon(ask, "p2")
    assert order == ["p2 at 1.1", "late"]
