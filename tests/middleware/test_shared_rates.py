"""Requests and tokens per minute of several processes with one store, with a clock that jumps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from moa_mcp.errors import JournalError, Unrecorded
from moa_mcp.events import CallWaits, Event
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.rates import Share
from moa_mcp.middleware import Limits, Shared
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import Runs
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call, Completion, Question, Target, Usage
from tests.support.clocks import jumping
from tests.support.journals import config_of
from tests.support.layers import Layers, at, call_of
from tests.support.starting import start_run
from tests.support.tables import AGGREGATE, PROPOSE

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


async def usable(alias: str) -> tuple[Target, ...]:
    """Serve ``p1``, ``p2`` … at the provider p, ``q1`` at q, ``k1`` at p with another key."""
    provider = alias[0].replace("k", "p")
    return (Target(f"{provider}/{alias}", provider, api_key="sk-secret" if alias[0] == "k" else None),)


class Store:
    """Knows until when accounts are booked; it answers late."""

    def __init__(self) -> None:
        self.until: dict[str, Share] = {}
        self.asked = 0
        self.fails = False

    async def book(self, shares: Mapping[str, Share]) -> Mapping[str, Share]:
        self.asked += 1
        await anyio.sleep(0.01)
        if self.fails:
            raise JournalError("the database is away")
        now = anyio.current_time()
        before = {account: self._ahead(account, now) for account in shares}
        for account, ahead in before.items():
            after = ahead.plus(shares[account])
            self.until[account] = Share(now + after.requests_s, now + after.tokens_s)
        return before

    async def take(self, account: str, cost_s: float, most_s: float) -> float:
        raise NotImplementedError

    def correct(self, account: str, share: Share) -> None:
        self.until[account] = self.until[account].plus(share)

    def _ahead(self, account: str, now: float) -> Share:
        until = self.until.get(account, Share())
        return Share(max(0.0, until.requests_s - now), max(0.0, until.tokens_s - now))


class Provider:
    """Answers at once, and keeps when."""

    def __init__(self, tokens: int | None = None) -> None:
        self.began = anyio.current_time()
        self.tokens = tokens
        self.starts: list[float] = []

    async def __call__(self, call: Call) -> Completion:
        self.starts.append(round(anyio.current_time() - self.began, 1))
        await anyio.sleep(0.001)
        return Completion("there", call.agent, usage=None if self.tokens is None else Usage(0, self.tokens))


async def ask_all(provider: Provider, store: Store, limits: Limits, *agents: str, tokens: int = 0) -> list[Layers]:
    """Ask at once, each in another one of two processes."""
    processes = [Layers(provider, usable, Shared(limits, rates=store)) for _ in range(2)]
    calls = [
        call_of(agent, number)._replace(parameters={"max_tokens": tokens} if tokens else {})
        for number, agent in enumerate(agents)
    ]

    async def ask(at: int) -> None:
        await processes[at % 2].ask(calls[at])

    await anyio.amap(ask, range(len(calls)))
    return processes


async def test_requests_of_all_processes_are_spaced_by_their_rate_together() -> None:
    provider, store = Provider(), Store()
    await ask_all(provider, store, Limits(requests_per_minute={"p": 60}), *["p1"] * 6)
    assert provider.starts == [0, 1, 2, 3, 4, 5]
    assert store.asked == 2  # those of a process together


async def test_each_key_of_a_provider_has_its_own_rate_and_others_have_none() -> None:
    provider, store = Provider(), Store()
    await ask_all(provider, store, Limits(requests_per_minute={"p": 60}), "p1", "p2", "k1", "k2", "q1", "q2")
    assert provider.starts == [0, 0, 0, 0, 1, 1]
    assert len(store.until) == 2
    assert "secret" not in "".join(store.until)


async def test_tokens_of_all_processes_start_at_their_rate_after_a_burst() -> None:
    provider, store = Provider(), Store()
    await ask_all(provider, store, Limits(tokens_per_minute={"p": 60_000}), *["p1"] * 5, tokens=3000)
    assert [round(start) for start in provider.starts] == [0, 0, 3, 6, 9]


async def test_a_call_with_more_tokens_than_the_burst_starts_when_nothing_is_booked() -> None:
    provider, store = Provider(), Store()
    await ask_all(provider, store, Limits(tokens_per_minute={"p": 60_000}), *["p1"] * 3, tokens=30_000)
    assert [round(start) for start in provider.starts] == [0, 30, 60]


async def test_tokens_that_a_call_did_not_take_are_free_for_later_calls() -> None:
    provider, store = Provider(tokens=100), Store()
    limits = Limits(tokens_per_minute={"p": 60_000})
    await ask_all(provider, store, limits, "p1", tokens=30_000)
    await ask_all(provider, store, limits, "p1", tokens=30_000)
    assert provider.starts == [0, pytest.approx(0.1, abs=0.05)]


async def test_a_call_whose_tokens_are_unknown_counts_with_its_maximum() -> None:
    provider, store = Provider(), Store()
    limits = Limits(tokens_per_minute={"p": 60_000})
    for _ in range(2):
        await ask_all(provider, store, limits, "p1", tokens=30_000)
    assert [round(start) for start in provider.starts] == [0, 30]


async def test_both_limits_hold_together() -> None:
    provider, store = Provider(), Store()
    limits = Limits(requests_per_minute={"p": 30}, tokens_per_minute={"p": 60_000})
    await ask_all(provider, store, limits, *["p1"] * 3, tokens=10)
    assert [round(start) for start in provider.starts] == [0, 2, 4]


@pytest.mark.parametrize("gone_s", [0.005, 0.5])
async def test_a_call_that_is_cancelled_before_it_starts_leaves_its_share_to_others(gone_s: float) -> None:
    provider, store = Provider(), Store()
    layers = Layers(provider, usable, Shared(Limits(requests_per_minute={"p": 6}), rates=store))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(layers.ask, call_of("p1", 1))
        await anyio.sleep(0.001)
        with anyio.move_on_after(gone_s):
            await layers.ask(call_of("p1", 2))
    await layers.ask(call_of("p1", 3))
    assert [round(start) for start in provider.starts] == [0, 10]


async def test_a_call_that_is_cancelled_while_others_book_it_leaves_its_share_to_them() -> None:
    provider, store = Provider(), Store()
    layers = Layers(provider, usable, Shared(Limits(requests_per_minute={"p": 6}), rates=store))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(layers.ask, call_of("p1", 1))
        await anyio.sleep(0.001)
        tasks.start_soon(layers.ask, call_of("p1", 2))
        await anyio.sleep(0.001)
        with anyio.move_on_after(0.012):  # the one before books it
            await layers.ask(call_of("p1", 3))
    await layers.ask(call_of("p1", 4))
    assert [round(start) for start in provider.starts] == [0, 10, 20]


async def test_one_that_books_for_others_and_is_cancelled_leaves_that_to_the_next() -> None:
    provider, store = Provider(), Store()
    layers = Layers(provider, usable, Shared(Limits(requests_per_minute={"p": 60}), rates=store))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(layers.ask, call_of("p1", 1))
        await anyio.sleep(0.001)
        with anyio.CancelScope() as leader:

            async def stop() -> None:
                await anyio.sleep(0.012)
                leader.cancel()

            tasks.start_soon(stop)
            tasks.start_soon(layers.ask, call_of("p1", 3))
            await layers.ask(call_of("p1", 2))
    assert [round(start) for start in provider.starts] == [0, 1]


async def test_no_call_is_made_while_the_store_is_away() -> None:
    provider, store = Provider(), Store()
    store.fails = True
    layers = Layers(provider, usable, Shared(Limits(requests_per_minute={"p": 60}), rates=store))
    with pytest.raises(Unrecorded, match="the database is away"):
        await layers.ask(call_of("p1", 1))
    assert provider.starts == []


class Journal(MemoryJournal, Store):
    """A journal that several processes share."""

    def __init__(self) -> None:
        MemoryJournal.__init__(self)
        Store.__init__(self)


async def test_runs_on_a_journal_that_knows_rates_share_them_and_say_that_they_wait() -> None:
    journal, seen = Journal(), list[Event]()
    config = config_of(PROPOSE, AGGREGATE, settings="limits.requests_per_minute = { openai = 6 }")
    runs = Runs(config, Backend(ScriptedModel(), lambda _: at("openai/m")), journal)
    async with runs.open():
        run = await start_run(runs, config.pipelines["p"], Question("Why?"), watch=seen.append)
        await run.ended.wait()
    assert run.trace.status == "complete"
    waits = [event for event in seen if isinstance(event, CallWaits)]
    assert {event.reason for event in waits} == {"requests_per_minute = 6 at openai for all processes"}
    assert all(event.until for event in waits)
    assert len(waits) == 3  # all but the first of four calls
    assert {note.partition(":")[0] for note in run.trace.notes} == {"waited 10 s", "waited 20 s"}
