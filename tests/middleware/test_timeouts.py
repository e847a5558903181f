"""Timeouts beside other cancellations: those of requests to an API, which have limits of their own, and all others.

With a clock that jumps, so that two things can happen at the same moment, and at last over a socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import pytest
from anyio.lowlevel import checkpoint

from moa_mcp.errors import STOPPED
from moa_mcp.events import AttemptFailed, AttemptFinished, AttemptStarted, Event
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.middleware import Limits, Shared, Usable
from moa_mcp.providers.backend import Backend
from moa_mcp.providers.openai.client import OpenAICompatible
from moa_mcp.runs import Runs
from moa_mcp.testing import Scripted, ScriptedModel
from moa_mcp.values import Call, Question, Target
from tests.support.clocks import jumping
from tests.support.journals import config_of
from tests.support.layers import Layers, at, call_of
from tests.support.starting import start_run

pytestmark = pytest.mark.anyio

Work: TypeAlias = Callable[[Call], Awaitable[Scripted]]
WIRE = Target("openai/a", "openai", "https://api.example.com/v1", "none", wire_model="a")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


on_asyncio = pytest.mark.parametrize("anyio_backend", [jumping("asyncio")], ids=["asyncio"])


def served_at(target: Target) -> Usable:
    async def usable(_: str) -> tuple[Target, ...]:
        await checkpoint()
        return (target,)

    return usable


@pytest.fixture(params=["an API", "others"])
def usable(request: pytest.FixtureRequest) -> Usable:
    return served_at(WIRE) if request.param == "an API" else at("openai/a")


def layers_of(work: Work, usable: Usable, stall_s: float = 30) -> Layers:
    return Layers(ScriptedModel(otherwise=work), usable, Shared(Limits(attempts=1), stall_s=stall_s))


async def hang(_: Call) -> str:
    await anyio.sleep_forever()
    raise NotImplementedError


def quietly(_: str) -> None:
    """Watch the text arrive, and do nothing with it."""


def taking(seconds: float) -> Work:
    async def work(_: Call) -> str:
        await anyio.sleep(seconds)
        return "there"

    return work


async def test_each_of_many_requests_ends_after_its_own_timeout(usable: Usable) -> None:
    layers = Layers(ScriptedModel(otherwise=hang), usable, Shared(Limits(attempts=1)))
    ended: dict[float, float] = {}

    async def ask(number: int, starts_s: float, timeout_s: float) -> None:
        await anyio.sleep(starts_s)
        await layers.failure(call_of(number=number, timeout_s=timeout_s))
        ended[timeout_s] = round(anyio.current_time() - began, 3)

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for number, (starts_s, timeout_s) in enumerate([(0, 30), (1, 5), (2, 40), (3, 0.5), (31, 2)], 1):
            tasks.start_soon(ask, number, starts_s, timeout_s)
    assert ended == {30: 30, 5: 6, 40: 42, 0.5: 3.5, 2: 33}


async def test_a_timeout_ends_nothing_that_the_task_does_afterwards(usable: Usable) -> None:
    layers = layers_of(hang, usable)
    for _ in range(3):
        assert str(await layers.failure(call_of(timeout_s=30))) == "openai/a did not answer within 30 s"
        await anyio.sleep(60)
    assert (await layers_of(taking(29), usable).ask(call_of(timeout_s=30))).text == "there"
    await anyio.sleep(60)


@pytest.mark.parametrize("stops_s", [29.0, 30.0, None])
@on_asyncio
async def test_no_cancellation_is_left_in_the_task(usable: Usable, stops_s: float | None) -> None:
    task = asyncio.current_task()
    assert task is not None
    with anyio.move_on_after(stops_s):
        await layers_of(hang, usable).failure(call_of(timeout_s=30))
    assert task.cancelling() == 0
    await asyncio.sleep(1)


async def test_a_run_whose_time_is_up_at_the_moment_of_a_timeout_is_cancelled(usable: Usable) -> None:
    layers = layers_of(hang, usable)
    with anyio.move_on_after(30) as run:
        await layers.ask(call_of(timeout_s=30))
    assert run.cancelled_caught
    assert layers.attempts == [("openai/a", 1, STOPPED.kind)]
    await anyio.sleep(60)


def act_at(moment: float, act: Callable[[], object], *, hops: int, first: bool) -> None:
    """Act just before or after the timers of a moment, or that many turns of the event loop later."""
    loop = asyncio.get_running_loop()

    def hop(left: int) -> None:
        if left:
            loop.call_soon(hop, left - 1)
        else:
            act()

    def begin() -> None:
        vars(loop)["_jumping"].now_s = max(loop.time(), moment)
        hop(hops)

    loop.call_at(moment + (-1e-10 if first else 1e-10), begin)


async def busy(_: Call) -> str:
    """Take turns of the event loop, but wait for nothing, when the timeout is over."""
    began = anyio.current_time()
    await asyncio.sleep(30 - 1e-9)
    while anyio.current_time() < began + 30:
        vars(asyncio.get_running_loop())["_jumping"].now_s += 1e-10
        await asyncio.sleep(0)
    for _turn in range(1000):
        await asyncio.sleep(0)
    raise NotImplementedError


moments = pytest.mark.parametrize(
    ("work", "hops", "first"), [(work, hops, first) for work in (hang, busy) for hops in range(4) for first in (0, 1)]
)


@on_asyncio
@moments
async def test_a_run_that_is_cancelled_around_the_moment_of_a_timeout_is_cancelled(
    usable: Usable, work: Work, hops: int, *, first: bool
) -> None:
    layers = layers_of(work, usable)
    task = asyncio.current_task()
    assert task is not None
    with anyio.CancelScope() as run:
        act_at(anyio.current_time() + 30, run.cancel, hops=hops, first=first)
        await layers.failure(call_of(timeout_s=30))
        await anyio.sleep_forever()
    assert (run.cancelled_caught, task.cancelling()) == (True, 0)
    await anyio.sleep(60)


@on_asyncio
async def test_a_run_that_is_cancelled_while_its_timeout_ends_the_request_is_told_as_stopped() -> None:
    layers = layers_of(hang, served_at(WIRE))
    with anyio.CancelScope() as run:
        act_at(anyio.current_time() + 30, run.cancel, hops=1, first=False)
        await layers.ask(call_of(timeout_s=30))
    assert layers.attempts == [("openai/a", 1, STOPPED.kind)]


@on_asyncio
@moments
async def test_a_task_that_is_cancelled_around_the_moment_of_a_timeout_is_cancelled(
    usable: Usable, work: Work, hops: int, *, first: bool
) -> None:
    """As the tasks of calls are when their step ends."""
    layers = layers_of(work, usable)

    async def call() -> None:
        await layers.failure(call_of(timeout_s=30))
        await anyio.sleep_forever()

    task = asyncio.create_task(call())
    act_at(anyio.current_time() + 30, task.cancel, hops=hops, first=first)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


@on_asyncio
async def test_an_answer_that_arrives_at_the_moment_of_its_timeout_is_used(usable: Usable) -> None:
    async def answers(_: Call) -> str:
        arrived = asyncio.Event()
        act_at(anyio.current_time() + 30, arrived.set, hops=0, first=True)
        await arrived.wait()
        return "there"

    assert (await layers_of(answers, usable).ask(call_of(timeout_s=30))).text == "there"


@on_asyncio
async def test_a_timeout_ends_what_catches_its_cancellation(usable: Usable) -> None:
    caught = 0

    async def stubborn(_: Call) -> str:
        nonlocal caught
        for _number in range(3):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                caught += 1
        await anyio.sleep_forever()
        raise NotImplementedError

    failure = await layers_of(stubborn, usable).failure(call_of(timeout_s=30))
    assert (failure.kind, caught) == ("TimedOut", 3)
    await asyncio.sleep(1)


@on_asyncio
async def test_a_cancelled_run_ends_what_catches_the_cancellation_at_the_moment_of_its_timeout(usable: Usable) -> None:
    async def stubborn(_: Call) -> str:
        for _number in range(5):
            try:
                await asyncio.sleep(0)
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
        raise NotImplementedError

    with anyio.move_on_after(30) as run:
        await layers_of(stubborn, usable).ask(call_of(timeout_s=30))
    assert run.cancelled_caught
    await asyncio.sleep(1)


async def test_a_wait_of_the_provider_that_ends_with_the_timeout_is_no_timeout_of_its_own(usable: Usable) -> None:
    async def waits(_: Call) -> str:
        with anyio.move_on_after(30):
            await anyio.sleep_forever()
        await anyio.sleep_forever()
        raise NotImplementedError

    failure = await layers_of(waits, usable).failure(call_of(timeout_s=30))
    assert failure.kind == "TimedOut"
    await anyio.sleep(60)


def streaming(*pauses_s: float) -> Work:
    async def reply(call: Call) -> Scripted:
        assert call.on_text is not None
        for pause_s in pauses_s:
            await anyio.sleep(pause_s)
            call.on_text("word ")
        return "there"

    return reply


@pytest.mark.parametrize(
    ("pauses_s", "stall_s", "ends_s", "message"),
    [
        ([5, 11], 10, 15, "openai/a stopped in the middle of its answer: no text for 10 s"),
        ([29, 29, 29, 31], 30, 117, "openai/a stopped in the middle of its answer: no text for 30 s"),
        ([20] * 20, 30, 300, "openai/a did not finish within 300 s"),
        ([31], 60, 30, "openai/a did not answer within 30 s"),
    ],
)
async def test_a_streamed_answer_ends_when_its_text_stops(
    usable: Usable, pauses_s: list[float], stall_s: float, ends_s: float, message: str
) -> None:
    layers = layers_of(streaming(*pauses_s), usable, stall_s)
    began = anyio.current_time()
    failure = await layers.failure(call_of(timeout_s=30)._replace(on_text=quietly))
    assert (str(failure), round(anyio.current_time() - began, 3)) == (message, ends_s)


async def test_text_that_arrives_while_an_attempt_is_ended_does_not_prolong_it(usable: Usable) -> None:
    async def last_words(call: Call) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            assert call.on_text is not None
            call.on_text("word ")
        raise NotImplementedError

    layers = layers_of(last_words, usable)
    with anyio.fail_after(31):
        assert (await layers.failure(call_of(timeout_s=30)._replace(on_text=quietly))).kind == "TimedOut"


class Slow(MemoryJournal):
    """A journal that takes a minute for each event of an attempt, whoever is cancelled meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    async def keep(self, run_id: str, event: Event) -> None:
        if isinstance(event, AttemptStarted | AttemptFinished | AttemptFailed):
            with anyio.CancelScope(shield=True):
                await anyio.sleep(60)
            self.kept.append(type(event).__name__)
        await super().keep(run_id, event)


@pytest.mark.parametrize("stops_s", [None, 60 + 29, 60 + 30, 60 + 30 + 29])
async def test_a_timeout_does_not_cut_what_is_recorded(usable: Usable, stops_s: float | None) -> None:
    """The answer takes 29 s of 30, and the run may be cancelled while it is stored."""
    config = config_of('{ step = "propose", agents = ["x"], timeout_s = 30 }')
    journal = Slow()
    async with Runs(config, Backend(ScriptedModel(otherwise=taking(29.5)), lambda _: usable), journal).open() as runs:
        run = await start_run(runs, config.pipelines["p"], Question("Why?"))
        if stops_s is not None:
            await anyio.sleep(stops_s)
            run.scope.cancel()
        await run.ended.wait()
    (call,) = run.trace.steps[0].calls
    if stops_s == 60 + 29:
        assert (journal.kept, call.attempts[0].failure) == (["AttemptStarted"], STOPPED)
    else:
        assert journal.kept == ["AttemptStarted", "AttemptFinished"]
        assert call.attempts[0].completion is not None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_body_that_stops_in_the_middle_ends_with_the_timeout_and_the_next_request_is_answered() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"choices": [{"message": {"content": "there"}, "finish_reason": "stop"}]}'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.write(head + (body[:20] if requests == 1 else body))
        await writer.drain()
        await reader.read()
        writer.close()

    provider = OpenAICompatible()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = Target("openai/a", "openai", f"http://127.0.0.1:{port}/v1", "none", wire_model="a")
    layers = Layers(provider, served_at(target), Shared(Limits(attempts=2)))
    try:
        with anyio.fail_after(10):
            completion = await layers.ask(call_of(timeout_s=0.3))
    finally:
        await provider.close()
        server.close()
    assert (completion.text, requests) == ("there", 2)
    assert layers.attempts == [("openai/a", 1, "TimedOut"), ("openai/a", 2, "answered")]
