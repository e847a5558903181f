"""What 429s teach: how many calls are under way, and when none starts; with a clock that jumps."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from moa_mcp.errors import CallError, RateLimited, ServerFailed
from moa_mcp.middleware import Limits, Shared
from moa_mcp.testing import Scripted, ScriptedModel
from moa_mcp.values import Call, Completion, Target
from tests.support.clocks import jumping
from tests.support.layers import Layers, at, call_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


async def its_own(alias: str) -> tuple[Target, ...]:
    """Serve every alias at the provider p, as a model of its own."""
    return (Target(f"p/{alias}", "p"),)


class Narrow:
    """Takes a second for each call, and refuses those beyond its room after a tenth of one."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.began = anyio.current_time()
        self.starts: list[float] = []
        self.refused: list[float] = []
        self.under_way = 0

    async def __call__(self, call: Call) -> Completion:
        del call
        self.starts.append(self.now)
        self.under_way += 1
        try:
            if self.under_way > self.room:
                await anyio.sleep(0.1)
                self.refused.append(self.now)
                raise RateLimited("429")
            await anyio.sleep(1)
            return Completion("there", "p/a")
        finally:
            self.under_way -= 1

    @property
    def now(self) -> float:
        return round(anyio.current_time() - self.began, 3)

    async def answer(self, layers: Layers, count: int) -> list[float]:
        """Have so many calls asked at once; return when they started."""
        before = len(self.starts)

        async def ask(number: int) -> None:
            with suppress(RateLimited):
                await layers.ask(call_of(number=number))

        await anyio.amap(ask, range(1, count + 1))
        return [round(start - self.starts[before], 1) for start in self.starts[before:]]


def asking(provider: Narrow, attempts: int = 20) -> Layers:
    return Layers(provider, its_own, Shared(Limits(attempts=attempts, provider_concurrency=16)))


async def test_calls_that_are_refused_together_halve_what_is_under_way_once() -> None:
    provider = Narrow(room=4)
    layers = asking(provider, attempts=1)
    await provider.answer(layers, 16)
    assert provider.refused == [0.1] * 12
    provider.room = 16
    assert (await provider.answer(layers, 16)).count(0) == 8


async def test_a_provider_with_room_for_few_is_soon_asked_for_hardly_more() -> None:
    provider = Narrow(room=4)
    await provider.answer(asking(provider), 100)
    assert len(provider.refused) < 12 + 25
    later = [moment for moment in provider.refused if moment > 5]
    assert len(later) < (provider.now - 5)


async def test_after_a_refusal_each_window_of_answers_makes_room_for_one_call_more() -> None:
    provider = Narrow(room=1)
    layers = asking(provider, attempts=1)
    await provider.answer(layers, 8)
    provider.room = 16
    starts = await provider.answer(layers, 30)
    assert [starts.count(second) for second in range(6)] == [4, 5, 6, 7, 8, 0]


async def test_calls_that_leave_room_make_no_more_of_it() -> None:
    provider = Narrow(room=1)
    layers = asking(provider, attempts=1)
    await provider.answer(layers, 8)
    provider.room = 16
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(provider.answer, layers, 1)  # so that it never rests
        for _ in range(20):
            await anyio.sleep(0.5)
            tasks.start_soon(provider.answer, layers, 1)
    assert (await provider.answer(layers, 16)).count(0) == 4


async def test_what_was_learned_is_forgotten_in_a_minute_of_rest() -> None:
    provider = Narrow(room=1)
    layers = asking(provider, attempts=1)
    await provider.answer(layers, 8)
    provider.room = 16
    await anyio.sleep(60)
    assert await provider.answer(layers, 16) == [0] * 16


async def test_one_call_at_least_is_always_under_way() -> None:
    provider = Narrow(room=0)
    layers = asking(provider, attempts=1)
    for _ in range(10):
        await provider.answer(layers, 1)
    assert len(provider.refused) == 10


async def test_while_a_provider_asks_for_a_pause_no_other_call_of_the_model_goes_out() -> None:
    began = anyio.current_time()
    starts: list[float] = []

    def busy(_: Call) -> Scripted:
        starts.append(round(anyio.current_time() - began))
        return RateLimited("429", retry_after_s=30) if len(starts) == 1 else "there"

    layers = Layers(ScriptedModel({"a": busy}), its_own)
    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(layers.ask, call_of(number=number))
            await anyio.sleep(2)
    assert starts == [0, 30, 30, 30, 30, 30, 30]


class Pausing:
    """Asks for a pause for some models, and keeps when each was asked."""

    def __init__(self, **pauses: float) -> None:
        self._pauses = pauses
        self._began = anyio.current_time()
        self.starts: dict[str, list[float]] = {}

    async def __call__(self, call: Call) -> Completion:
        self.starts.setdefault(call.agent, []).append(round(anyio.current_time() - self._began))
        pause = self._pauses.pop(call.agent, None)
        if pause is not None:
            raise ServerFailed("503", retry_after_s=pause)
        return Completion("there", call.agent)

    async def asked_each_second(self, *agents: str) -> dict[str, list[float]]:
        layers = Layers(self, its_own)
        async with anyio.create_task_group() as tasks:
            for agent in agents:
                tasks.start_soon(layers.ask, call_of(agent))
                await anyio.sleep(1)
        return self.starts


async def test_a_pause_for_one_model_does_not_hold_up_the_providers_others() -> None:
    assert await Pausing(a=30).asked_each_second("a", "b", "c") == {"a": [0, 30], "b": [1], "c": [2]}


async def test_pauses_for_two_models_of_a_provider_hold_up_all_until_the_first_is_over() -> None:
    starts = await Pausing(a=30, b=40).asked_each_second("a", "b", "c", "d")
    assert starts == {"a": [0, 30], "b": [1, 41], "c": [30], "d": [30]}


async def test_a_model_that_wants_a_longer_pause_than_calls_wait_is_passed_over_without_asking() -> None:
    replies: dict[str, Scripted] = {"p/a": RateLimited("429", retry_after_s=300), "q/a": "there"}
    model = ScriptedModel(otherwise=lambda call: replies[call.target.model if call.target else ""])
    layers = Layers(model, at(*replies))
    await layers.ask(call_of(number=1))
    await anyio.sleep(60)
    completion = await layers.ask(call_of(number=2))
    told = "p/a was not called: p requested a pause, 240 s remain"
    assert completion.notes == (f"p/a failed, so the next route was used: {told}",)
    assert [(name, outcome) for name, _, outcome in layers.attempts] == [
        ("p/a", "RateLimited"),
        ("q/a", "answered"),
        ("q/a", "answered"),
    ]


async def test_a_pause_of_a_day_is_tried_again_after_some_minutes() -> None:
    layers = Layers(ScriptedModel({"a": [RateLimited("429", retry_after_s=86_400), "there"]}))
    await layers.failure(call_of(number=1))
    await anyio.sleep(601)
    assert (await layers.ask(call_of(number=2))).text == "there"


async def test_calls_that_wait_for_a_model_are_let_go_when_it_asks_for_a_long_pause() -> None:
    async def refusing(_: Call) -> Scripted:
        await anyio.sleep(5)
        return RateLimited("429", retry_after_s=300)

    began = anyio.current_time()
    layers = Layers(ScriptedModel({"a": refusing}), its_own, Shared(Limits(provider_concurrency=1)))
    failures = await anyio.amap(layers.failure, [call_of(number=number) for number in range(1, 4)])
    assert [failure.kind for failure in failures] == ["RateLimited"] * 3
    assert len(layers.attempts) == 1
    assert anyio.current_time() - began == pytest.approx(5)


async def test_calls_that_wait_out_a_short_pause_are_let_go_when_it_becomes_a_long_one() -> None:
    async def later(_: Call) -> Scripted:
        await anyio.sleep(5)
        return RateLimited("429", retry_after_s=300)

    began = anyio.current_time()
    ended: list[tuple[str, float]] = []
    layers = Layers(ScriptedModel({"a": [later, ServerFailed("503", retry_after_s=30), "there"]}), its_own)

    async def ask(number: int) -> None:
        failure = await layers.failure(call_of(number=number))
        ended.append((failure.kind, round(anyio.current_time() - began)))

    async with anyio.create_task_group() as tasks:
        for number in range(1, 5):
            tasks.start_soon(ask, number)
            await anyio.sleep(0.1)
    assert ended == [("RateLimited", 5)] * 3 + [("RateLimited", 30)]  # the last had been asked before


async def test_who_waited_long_is_told_for_what() -> None:
    starting: list[Scripted] = [RateLimited("429", retry_after_s=20), "there"]
    layers = Layers(ScriptedModel({"a": lambda _: starting.pop(0) if len(starting) > 1 else "there"}), its_own)
    notes: list[tuple[str, ...]] = []

    async def ask(number: int) -> None:
        notes.append((await layers.ask(call_of(number=number))).notes)

    async with anyio.create_task_group() as tasks:
        for number in (1, 2):
            tasks.start_soon(ask, number)
            await anyio.sleep(1)
    assert sorted(notes) == [(), ("waited 19 s: p requested a pause",)]


async def test_an_error_that_is_no_refusal_teaches_nothing() -> None:
    errors: list[CallError] = [ServerFailed("500")]
    layers = Layers(ScriptedModel({"a": lambda _: errors.pop() if errors else "there"}), its_own)
    await layers.ask(call_of())
    provider = Narrow(room=16)
    layers.provider = provider
    assert await provider.answer(layers, 16) == [0] * 16
