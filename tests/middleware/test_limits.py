"""How much is under way at once: slots and pace, with a clock that jumps."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from moa_mcp.errors import AuthFailed, CallError, RateLimited, ServerFailed
from moa_mcp.journal import RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.middleware import Limits, Shared, Usable
from moa_mcp.runs import Runs
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call, Completion, Message, Question, Target, Usage
from tests.support.clocks import jumping
from tests.support.journals import PANEL, runs_of
from tests.support.layers import Layers, call_of
from tests.support.starting import start_run

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
        try:
            await anyio.sleep(1)
        finally:
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


async def test_calls_that_wait_for_a_slot_say_for_what_and_until_when_if_that_is_known() -> None:
    full = await at_once(Provider(), Limits(provider_concurrency=1), panel("p", 2))
    paced = await at_once(Provider(), Limits(requests_per_minute={"p": 30}), panel("p", 2))
    assert [wait[1:] for wait in full.waits] == [("provider_concurrency = 1 at p", None)]
    assert [wait[1:] for wait in paced.waits] == [("requests_per_minute = 30 at p", 2.0)]


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


async def arriving(provider: Provider, limits: Limits, *calls: Call) -> list[str]:
    """Have the calls come one after the other, each before the one before it has ended; return who was asked when."""
    layers = Layers(provider, prefixed, Shared(limits))
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(layers.ask, call)
            await anyio.sleep(0.01)
    return list(provider.starts)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(provider_concurrency=1),
        Limits(concurrency=1),
        Limits(requests_per_minute={"p": 20}),
        Limits(tokens_per_minute={"p": 101}),
        Limits(provider_concurrency=2, requests_per_minute={"p": 30}, tokens_per_minute={"p": 202}),
    ],
    ids=["provider", "process", "requests", "tokens", "all"],
)
async def test_calls_start_in_the_order_in_which_they_came(limits: Limits) -> None:
    agents = ["p1", "p2", "p1x", "p3", "p2x", "p1y", "p4"]
    assert await arriving(Provider(), limits, *map(call_of, agents)) == agents


async def as_one(alias: str) -> tuple[Target, ...]:
    """Serve all aliases as one model."""
    return (Target("p/p", alias[0]),)


@pytest.mark.parametrize("usable", [prefixed, as_one], ids=["models", "one model"])
@pytest.mark.parametrize("gone", ["p2", "p3", "p4"], ids=["first", "middle", "last"])
@pytest.mark.parametrize(
    ("limits", "gap", "gone_at"),
    [
        (Limits(provider_concurrency=1), 1, 0.5),
        (Limits(requests_per_minute={"p": 30}), 2, 1.5),
        (Limits(tokens_per_minute={"p": 101}), 60, 1.5),
    ],
    ids=["slots", "requests", "tokens"],
)
async def test_a_waiting_call_that_is_cancelled_leaves_no_hole(
    limits: Limits, gap: float, gone_at: float, gone: str, usable: Usable
) -> None:
    provider = Provider()
    layers = Layers(provider, usable, Shared(limits))

    async def ask(agent: str) -> None:
        with anyio.move_on_after(gone_at if agent == gone else 1000):
            await layers.ask(call_of(agent))

    agents = ["p1", "p2", "p3", "p4"]
    async with anyio.create_task_group() as tasks:
        for agent in agents:
            tasks.start_soon(ask, agent)
            await anyio.sleep(0.01)
    agents.remove(gone)
    assert {agent: round(start) for agent, start in provider.starts.items()} == {
        agent: gap * number for number, agent in enumerate(agents)
    }


async def test_a_call_that_is_cancelled_in_the_moment_in_which_it_may_start_gives_its_slot_back() -> None:
    second = anyio.CancelScope()

    async def cancelling(call: Call) -> str:
        await anyio.sleep(1)
        second.cancel()
        return call.agent

    model = ScriptedModel({"p1": cancelling})
    layers = Layers(model, prefixed, Shared(Limits(provider_concurrency=1)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(layers.ask, call_of("p1"))
        await anyio.sleep(0.1)
        with second:
            await layers.ask(call_of("p2"))
    with anyio.fail_after(2):
        await layers.ask(call_of("p3"))
    assert [call.agent for call in model.calls] == ["p1", "p3"]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_ends_calls_no_slot_is_lost_and_none_is_there_twice(seed: int) -> None:
    chance = Random(seed)
    provider = Provider()
    limits = Limits(attempts=2, concurrency=5, provider_concurrency=3, tokens_per_minute={"q": 1000})
    errors = [RateLimited("429", retry_after_s=0.5), RateLimited("429"), ServerFailed("500"), AuthFailed("401")]

    async def whatever(call: Call) -> Completion:
        completion = await provider(call)
        if chance.random() < 0.4:
            raise chance.choice(errors)
        return completion

    layers = Layers(whatever, prefixed, Shared(limits))

    async with anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(_whatever_comes, layers, call_of(chance.choice(["p1", "p2", "q1"])), chance.uniform(0, 6))
            await anyio.sleep(chance.uniform(0, 0.3))
    assert provider.most["p"] <= 3
    assert provider.most["all"] <= 5
    await anyio.sleep(120)
    after = Provider()
    layers.provider = after
    await anyio.amap(layers.ask, [call_of(agent) for agent in ("p1", "p2", "p1z", "q1", "q2")])
    assert set(after.starts.values()) == {0}


async def _whatever_comes(layers: Layers, call: Call, seconds: float) -> None:
    with anyio.move_on_after(seconds), suppress(CallError):
        await layers.ask(call)


def long(agent: str, max_tokens: int) -> Call:
    """Return a call with one token of prompt, and so many for its answer."""
    return call_of(agent)._replace(parameters={"max_tokens": max_tokens})


class Billing(Provider):
    """Bills so many tokens for each call."""

    def __init__(self, tokens: int | None) -> None:
        super().__init__()
        self._usage = None if tokens is None else Usage(1, tokens - 1)

    async def __call__(self, call: Call) -> Completion:
        return replace(await super().__call__(call), usage=self._usage)


async def spent(provider: Provider, *calls: Call) -> list[float]:
    """Ask at once, within 1000 tokens per minute; return when each call started."""
    layers = Layers(provider, prefixed, Shared(Limits(tokens_per_minute={"p": 1000})))
    await anyio.amap(layers.ask, calls)
    return [provider.starts[call.agent] for call in calls]


async def test_calls_that_fit_a_providers_tokens_start_together_and_the_others_a_minute_later() -> None:
    calls = [long(f"p{number}", 328) for number in range(7)]
    assert sorted(await spent(Billing(None), *calls)) == [0, 0, 0, 60, 60, 60, 120]


async def test_what_a_call_did_not_take_of_its_tokens_is_there_for_the_next() -> None:
    calls = [long(f"p{number}", 495) for number in range(4)]
    assert sorted(await spent(Billing(200), *calls)) == [0, 0, 1, 60]


async def test_what_a_call_took_beyond_its_tokens_is_missing_for_the_next() -> None:
    provider = Billing(900)
    layers = Layers(provider, prefixed, Shared(Limits(tokens_per_minute={"p": 1000})))
    await layers.ask(long("p1", 100))
    await layers.ask(long("p2", 100))
    assert provider.starts == {"p1": 0, "p2": 60}


async def test_what_a_long_call_took_is_not_counted_in_a_later_minute() -> None:
    provider = Billing(None)

    async def lasting(call: Call) -> Completion:
        completion = await provider(call)
        await anyio.sleep(90 if call.agent == "p1" else 0)
        return replace(completion, usage=Usage(1, 1)) if call.agent == "p1" else completion

    layers = Layers(lasting, prefixed, Shared(Limits(tokens_per_minute={"p": 1000})))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(layers.ask, long("p1", 800))
        await anyio.sleep(70)
        await layers.ask(long("p2", 100))
        await anyio.sleep(29)
        await anyio.amap(layers.ask, [long("p3", 450), long("p4", 450)])
    assert sorted(provider.starts.values()) == [0, 70, 100, 130]


async def test_a_call_that_failed_unpaid_took_no_tokens() -> None:
    layers = Layers(ScriptedModel({"p1": AuthFailed("401")}), prefixed, Shared(Limits(tokens_per_minute={"p": 1000})))
    began = anyio.current_time()
    await layers.failure(long("p1", 900))
    await layers.ask(long("p2", 900))
    assert anyio.current_time() == began


async def test_a_call_of_more_tokens_than_a_minutes_has_a_minute_of_its_own() -> None:
    assert sorted(await spent(Billing(None), *[long(f"p{number}", 5000) for number in range(3)])) == [0, 60, 120]


async def test_small_calls_do_not_overtake_a_large_one_that_waits_for_its_tokens() -> None:
    calls = [long("p1", 600), long("p2", 900), long("p3", 50)]
    assert await arriving(Provider(), Limits(tokens_per_minute={"p": 1000}), *calls) == ["p1", "p2", "p3"]


async def test_the_tokens_of_a_prompt_and_of_all_samples_count() -> None:
    prompt = long("p1", 0)._replace(messages=(Message("user", "x" * 2800),))
    samples = long("p2", 100)._replace(samples=4)
    assert sorted(await spent(Billing(None), prompt, samples)) == [0, 60]


async def test_each_key_and_each_server_has_limits_of_its_own() -> None:
    targets = {
        "a": Target("openai/a", "openai", None, "key 1"),
        "b": Target("openai/b", "openai", None, "key 2"),
        "c": Target("openai/c", "openai", "http://10.0.0.7:8000/v1", "key 1"),
        "d": Target("openai/d", "openai", None, "key 1"),
    }

    async def usable(alias: str) -> tuple[Target, ...]:
        return (targets[alias],)

    provider = Provider()
    layers = Layers(provider, usable, Shared(Limits(requests_per_minute={"openai": 1})))
    await anyio.amap(layers.ask, [call_of(agent) for agent in "abcd"])
    assert sorted(provider.starts.values()) == [0, 0, 0, 60]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(provider_concurrency=1), "provider_concurrency = 1 at p"),
        (Limits(concurrency=1), "concurrency = 1"),
        (Limits(requests_per_minute={"p": 6}), "requests_per_minute = 6 at p"),
        (Limits(tokens_per_minute={"p": 150}), "tokens_per_minute = 150 at p"),
    ],
    ids=["provider", "process", "requests", "tokens"],
)
async def test_who_waited_long_is_told_for_what(limits: Limits, reason: str) -> None:
    async def slow(_: Call) -> str:
        await anyio.sleep(10)
        return "there"

    layers = Layers(ScriptedModel(otherwise=slow), prefixed, Shared(limits))
    first, second = await anyio.amap(layers.ask, [call_of("p1"), call_of("p2")])
    waited_s = 60 if limits.tokens_per_minute else 10
    assert first.notes + second.notes == (f"waited {waited_s} s: {reason}",)


async def test_who_waited_little_is_not_told_so() -> None:
    layers = Layers(Provider(), prefixed, Shared(Limits(provider_concurrency=1)))
    completions = await anyio.amap(layers.ask, [call_of(f"p{number}") for number in range(5)])
    assert [completion.notes for completion in completions] == [()] * 5


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


class Slow(MemoryJournal):
    """Takes a second to put a run on record."""

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        await anyio.sleep(1.0)
        return await super().begin(record, queued=queued, max_runs=max_runs)


async def test_runs_that_are_started_together_are_put_on_record_in_turn_and_the_first_ask_meanwhile() -> None:
    provider = Provider()
    began = anyio.current_time()
    ended: list[int] = []

    async def asked(runs: Runs) -> None:
        run = await start_run(runs, PANEL.pipelines["p"], Question("Why?"))
        await run.ended.wait()
        ended.append(round(anyio.current_time() - began))

    async with runs_of(provider, Slow()).open() as runs, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(asked, runs)
    assert ended == [4] * 8 + [5] * 8 + [6] * 4  # three layers of a second each after theirs
