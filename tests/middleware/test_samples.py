"""Equal samples: asked for together where a route can do that, each an answer of its own, billed as they were."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from moa_mcp.engine.execute import RunSpec, execute
from moa_mcp.errors import (
    AuthFailed,
    CallError,
    ContextTooLong,
    ParameterRefused,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)
from moa_mcp.events import AttemptFailed, AttemptFinished, AttemptStarted, Event, Joined
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.middleware import Limits, Model, Shared, Usable, stack
from moa_mcp.middleware.shares import shares
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import Runs
from moa_mcp.testing import Scripted, ScriptedModel, pipeline
from moa_mcp.trace import replay
from moa_mcp.trace.trace import Trace, trace_of
from moa_mcp.values import Call, Completion, Message, Place, Price, Question, Rates, Target, Usage
from tests.support.journals import config_of
from tests.support.layers import PARAMETERS
from tests.support.starting import resume_run, start_run
from tests.support.tables import AGGREGATE, steps

pytestmark = pytest.mark.anyio

SIX = '{ step = "propose", agents = [{ model = "a", samples = 6 }] }'
PLACES = tuple(Place(1, number, number) for number in range(1, 7))


def served(*models: str, samples: int = 128, price: Price | None = None) -> Usable:
    targets = tuple(Target(model, model.partition("/")[0], samples=samples, price=price) for model in models)

    async def usable(_: str) -> tuple[Target, ...]:
        await anyio.lowlevel.checkpoint()
        return targets

    return usable


async def six(
    model: Model, usable: Usable | None = None, shared: Shared | None = None, *, question: str = "Why?", step: str = SIX
) -> tuple[Trace, list[Event]]:
    """Ask for six samples through all layers, and have the first taken."""
    events: list[Event] = []
    shared = shared or Shared(Limits(attempts=1))
    layers = stack(model, usable or served("p/a"), shared, events.append)
    chosen = pipeline(steps(step, '{ step = "take", n = 1 }'))
    await execute(RunSpec("r", chosen, Question(question), seed=0), layers, events.append)
    return trace_of(events), events


def requests(model: ScriptedModel) -> list[tuple[int, ...]]:
    """Return for each request the numbers of the calls it asked for."""
    return [tuple(place.number for place in (call.place, *call.others)) for call in model.calls]


def texts(trace: Trace) -> list[str | None]:
    return [call.completion.text if call.completion else None for call in trace.steps[0].calls]


def if_many(error: CallError) -> Callable[[Call], Scripted]:
    """Fail requests for several answers."""
    return lambda call: error if call.samples > 1 else f"a at {call.place}"


SAID = [f"a at 1.{number}" for number in range(1, 7)]


# One request


async def test_six_samples_are_six_answers_of_one_request_where_the_route_can_do_that() -> None:
    model = ScriptedModel()
    trace, events = await six(model)
    assert requests(model) == [(1, 2, 3, 4, 5, 6)]
    assert [call.samples for call in model.calls] == [6]
    assert texts(trace) == SAID
    assert [answer.place for answer in trace.steps[0].answers] == list(PLACES)
    assert [event.kind for event in events if "attempt" in event.kind] == ["attempt_started", "attempt_finished"]
    assert [[attempt.joined for attempt in call.attempts] for call in trace.steps[0].calls] == [
        [None],
        *[[Place(1, 1)]] * 5,
    ]


async def test_samples_that_may_have_spare_calls_go_together_too() -> None:
    model = ScriptedModel()
    trace, _ = await six(model, step='{ step = "propose", hedge = true, agents = [{ model = "a", samples = 6 }] }')
    assert requests(model) == [(1, 2, 3, 4, 5, 6)]
    assert texts(trace) == SAID


async def test_where_one_request_brings_one_answer_as_many_requests_go_out() -> None:
    model = ScriptedModel()
    trace, _ = await six(model, served("p/a", samples=1))
    assert sorted(requests(model)) == [(1,), (2,), (3,), (4,), (5,), (6,)]
    assert texts(trace) == SAID
    assert trace.notes == ("take: removed: 2, 3, 4, 5, 6",)


async def test_no_request_asks_for_more_than_a_route_can_bring() -> None:
    model = ScriptedModel()
    trace, _ = await six(model, served("p/a", samples=4))
    assert sorted(len(asked) for asked in requests(model)) == [2, 4]
    assert texts(trace) == SAID


async def test_only_equal_calls_go_together() -> None:
    agents = '{ step = "propose", agents = ["a", "b", "a", "c", "b", "a"] }'
    model = ScriptedModel()
    trace, _ = await six(model, step=agents)
    assert sorted(requests(model)) == [(1, 3, 6), (2, 5), (4,)]
    assert texts(trace) == ["a at 1.1", "b at 1.2", "a at 1.3", "c at 1.4", "b at 1.5", "a at 1.6"]


async def test_the_prompt_is_billed_once_and_the_sums_are_what_was_billed() -> None:
    whole = Completion(
        "four",
        "p/a",
        usage=Usage(100, 67, 40, 12),
        cost_usd=Decimal("0.5"),
        others=tuple(Completion(text, "p/a") for text in ("four", "eightttt", "", "four", "four")),
    )
    trace, events = await six(ScriptedModel(most=1, otherwise=whole))
    calls = trace.steps[0].calls
    assert trace.usage == Usage(100, 67, 40, 12)
    assert trace.cost_usd == Decimal("0.5")
    assert [call.usage.prompt_tokens for call in calls] == [100, 0, 0, 0, 0, 0]
    assert [call.usage.completion_tokens for call in calls] == [11, 11, 23, 0, 11, 11]
    assert [call.cost_usd for call in calls] == [Decimal("0.5"), *[Decimal(0)] * 5]
    assert trace.notes[0] == (
        "one request returned 6 answers of p/a: the first has its prompt tokens and cost, its completion tokens are "
        "divided by length"
    )
    (finished,) = [event for event in events if isinstance(event, AttemptFinished)]
    assert finished.completion == whole


@given(
    st.lists(st.text(max_size=9), min_size=2, max_size=9),
    st.none() | st.tuples(st.integers(0, 999), st.integers(0, 999), st.integers(0, 999)),
)
def test_shares_add_up_to_what_was_billed_and_nobody_thought_more_than_was_billed(
    said: list[str], billed: tuple[int, int, int] | None
) -> None:
    usage = billed and Usage(billed[0], billed[1] + billed[2], 0, billed[2])
    first, *others = [Completion(text, "m") for text in said]
    parts = shares(replace(first, usage=usage, others=tuple(others)))
    assert [part.text for part in parts] == said
    assert usage == (sum((part.usage for part in parts if part.usage), Usage()) if usage else None)
    assert all(part.usage is None or 0 <= part.usage.reasoning_tokens <= part.usage.completion_tokens for part in parts)
    assert not any(part.others or part.cost_usd for part in parts)


# Fewer than asked for


async def test_what_did_not_come_is_asked_for_singly_and_the_route_is_not_asked_for_many_again() -> None:
    model, shared = ScriptedModel(most=1), Shared()
    trace, _ = await six(model, shared=shared)
    assert requests(model)[0] == (1, 2, 3, 4, 5, 6)
    assert sorted(requests(model)[1:]) == [(2,), (3,), (4,), (5,), (6,)]
    assert texts(trace) == SAID
    assert trace.notes[0] == "one request for 6 answers returned 1; the others were requested one by one"
    assert [len(call.attempts) for call in trace.steps[0].calls] == [1, 2, 2, 2, 2, 2]
    assert [call.attempts[0].failure and call.attempts[0].failure.kind for call in trace.steps[0].calls] == [
        None,
        *["NotBrought"] * 5,
    ]
    model.calls.clear()
    await six(model, shared=shared)
    assert sorted(requests(model)) == [(1,), (2,), (3,), (4,), (5,), (6,)]


async def test_a_few_that_did_not_come_are_topped_up_and_many_are_asked_for_again() -> None:
    model, shared = ScriptedModel(most=4), Shared()
    for _ in range(2):
        model.calls.clear()
        trace, _ = await six(model, shared=shared)
        assert requests(model)[0] == (1, 2, 3, 4, 5, 6)
        assert sorted(requests(model)[1:]) == [(5,), (6,)]
        assert texts(trace) == SAID


@pytest.mark.parametrize(
    "error", [ParameterRefused("n must be 1", parameter="n"), RequestRefused("400")], ids=lambda error: error.kind
)
async def test_a_refused_request_for_many_is_followed_by_single_calls_and_remembered(error: CallError) -> None:
    model, shared = ScriptedModel(otherwise=if_many(error)), Shared()
    trace, _ = await six(model, shared=shared)
    assert requests(model)[0] == (1, 2, 3, 4, 5, 6)
    assert len(model.calls) == 7
    assert (trace.status, texts(trace)) == ("complete", SAID)
    assert trace.notes[0] == f"one request for 6 answers failed, so they were requested one by one: {error}"
    model.calls.clear()
    await six(model, shared=shared)
    assert sorted(map(len, requests(model))) == [1] * 6


@pytest.mark.parametrize("error", [RateLimited("429"), TimedOut("slow")], ids=lambda error: error.kind)
async def test_a_request_that_may_have_failed_for_its_size_is_followed_by_single_calls_once(error: CallError) -> None:
    model, shared = ScriptedModel(otherwise=if_many(error)), Shared(Limits(attempts=1))
    for _ in range(2):
        model.calls.clear()
        trace, _ = await six(model, shared=shared)
        assert list(map(len, requests(model))) == [6, 1, 1, 1, 1, 1, 1]
        assert texts(trace) == SAID


@pytest.mark.parametrize(
    "error", [AuthFailed("401"), ServerFailed("500"), ContextTooLong("too long")], ids=lambda error: error.kind
)
async def test_what_single_calls_would_meet_too_fails_all_of_them_at_once(error: CallError) -> None:
    model = ScriptedModel(otherwise=if_many(error))
    trace, _ = await six(model)
    assert requests(model) == [(1, 2, 3, 4, 5, 6)]
    assert [call.failure and call.failure.kind for call in trace.steps[0].calls] == [error.kind] * 6
    assert (trace.status, trace.cost_usd) == ("failed", Decimal(0))


async def test_on_the_next_route_they_go_together_again() -> None:
    replies: dict[str, Scripted] = {"p/a": AuthFailed("401"), "q/a": ServerFailed("500"), "r/a": "there"}
    model = ScriptedModel(otherwise=lambda call: replies[call.target.model if call.target else ""])
    trace, _ = await six(model, served(*replies))
    assert [len(asked) for asked in requests(model)] == [6, 6, 6]
    assert texts(trace) == ["there"] * 6


async def test_a_call_without_a_route_keeps_no_other_waiting() -> None:
    targets = Target("p/a", "p", samples=9)
    asked = 0

    async def usable(_: str) -> tuple[Target, ...]:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise AuthFailed("the key is gone")
        return (targets,)

    model = ScriptedModel()
    with anyio.fail_after(5):
        trace, _ = await six(model, usable)
    assert [len(asked) for asked in requests(model)] == [5]
    assert trace.steps[0].failed == 1


# Cancelled


class Waiting:
    """Six equal calls of which each can be given up, and a model that answers when it is let."""

    def __init__(self) -> None:
        self.may = anyio.Event()
        self.events: list[Event] = []
        self.answers: dict[int, str] = {}
        self.scopes = {number: anyio.CancelScope() for number in range(1, 7)}
        self.model = ScriptedModel(otherwise=self._reply)
        self.layers = stack(self.model, served("p/a"), Shared(), self.events.append)

    async def _reply(self, call: Call) -> str:
        await self.may.wait()
        return str(call.place)

    def begin(self, tasks: TaskGroup) -> None:
        for number in self.scopes:
            tasks.start_soon(self.ask, number)

    async def ask(self, number: int) -> None:
        call = Call("r", Place(1, number, number), "a", (Message("user", "Why?"),), PARAMETERS, seed=0, equals=6)
        with self.scopes[number]:
            self.answers[number] = (await self.layers(call)).text


async def test_who_gives_up_leaves_the_request_to_the_others_whoever_sent_it() -> None:
    waiting = Waiting()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiting.begin(tasks)
            await anyio.wait_all_tasks_blocked()
            (sent,) = waiting.model.calls
            waiting.scopes[sent.place.number].cancel()
            waiting.scopes[sent.others[0].number].cancel()
            await anyio.wait_all_tasks_blocked()
            waiting.may.set()
    left = {place.number for place in sent.others[1:]}
    assert waiting.answers == {number: f"1.{number}" for number in left}
    (finished,) = [event for event in waiting.events if isinstance(event, AttemptFinished)]
    assert len(finished.completion.others) == 5


async def test_what_all_gave_up_is_stopped_and_told_as_such() -> None:
    waiting = Waiting()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiting.begin(tasks)
            await anyio.wait_all_tasks_blocked()
            for scope in waiting.scopes.values():
                scope.cancel()
    assert waiting.answers == {}
    assert [type(event) for event in waiting.events] == [AttemptStarted, AttemptFailed]


async def test_who_gives_up_while_calls_gather_keeps_no_other_waiting() -> None:
    waiting = Waiting()
    waiting.may.set()
    waiting.scopes[1].cancel()
    waiting.scopes[4].cancel()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            waiting.begin(tasks)
    assert waiting.answers == {number: f"1.{number}" for number in (2, 3, 5, 6)}
    assert [len(asked) for asked in requests(waiting.model)] == [4]


@pytest.mark.parametrize(
    ("gone", "routes", "sent"),
    [
        ("before", ["p/a", "p/a"], (2,)),
        ("as it comes", ["p/a", "p/a"], (1, 2)),
        ("as it comes", ["p/a", "p/b"], (2,)),
    ],
    ids=["before the other arrives", "as the other arrives", "as the other arrives with another route"],
)
async def test_who_gives_up_while_another_call_has_no_route_yet_leaves_it_its_answer(
    gone: str, routes: list[str], sent: tuple[int, ...]
) -> None:
    waiting = Waiting()
    waiting.may.set()
    arrives = anyio.Event()

    async def usable(_: str) -> tuple[Target, ...]:
        await anyio.lowlevel.checkpoint()
        number = int(anyio.get_current_task().name or 0)
        if number == 2:
            await arrives.wait()
            if gone == "as it comes":
                waiting.scopes[1].cancel()
        return (Target(routes[number - 1], "p", samples=128),)

    waiting.layers = stack(waiting.model, usable, Shared(), waiting.events.append)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in (1, 2):
                tasks.start_soon(waiting.ask, number, name=str(number))
            await anyio.wait_all_tasks_blocked()
            if gone == "before":
                waiting.scopes[1].cancel()
                await anyio.wait_all_tasks_blocked()
            arrives.set()
    assert set(waiting.answers) == {2}
    assert requests(waiting.model) == [sent]


# On record


UNKNOWN = "1 request may have been billed without an answer: the cost is unknown"
CENT = Price(Rates(*[Decimal("0.0004")] * 4), "the test")


def paid(call: Call) -> Completion:
    return Completion(f"{call.agent} at {call.place}", "p/m", usage=Usage(10, 5), cost_usd=Decimal("0.01"))


async def test_a_run_that_is_left_right_after_one_request_was_recorded_has_all_its_answers() -> None:
    config = config_of(SIX, AGGREGATE)
    journal, model = MemoryJournal(), ScriptedModel(otherwise=paid)
    async with Runs(config, Backend(model, lambda _: served("p/m")), journal).open() as runs:
        run = await start_run(runs, config.pipelines["p"], Question("Why?"), seed=1)
        await run.ended.wait()
        record = await journal.record(run.run_id)
        whole = (await journal.events(run.run_id)).events
    assert record is not None
    for position, event in enumerate(whole):
        again, left = ScriptedModel(otherwise=paid), MemoryJournal()
        await left.begin(replace(record, status="running"))
        for known in whole[: position + 1]:
            await left.keep(record.run_id, known)
        await left.release(record.run_id)
        if event.kind == "run_finished":
            break
        async with Runs(config, Backend(again, lambda _: served("p/m")), left).open() as runs:
            run = await resume_run(runs, record.run_id)
            await run.ended.wait()
        recorded = [known for known in whole[: position + 1] if isinstance(known, AttemptFinished)]
        assert [len(asked) for asked in requests(again)] == [6, 1][len(recorded) :]
        assert (run.trace.status, run.trace.answer) == ("complete", "z at 2.1")
        assert texts(run.trace) == SAID
        asked_for = [known for known in whole[: position + 1] if isinstance(known, AttemptStarted)]
        left_open = len(asked_for) > len(recorded)
        assert (run.trace.usage, run.trace.cost_usd) == (Usage(20, 35), None if left_open else Decimal("0.07"))
        assert (UNKNOWN in run.trace.notes) is left_open


async def test_what_is_missing_on_record_is_asked_for_together_and_nothing_else() -> None:
    _, events = await six(ScriptedModel(most=2), served("p/a", samples=6), Shared())
    until = next(position for position, event in enumerate(events) if isinstance(event, AttemptFinished))
    paid_calls = replay.paid_calls(events[: until + 1])
    assert sorted(paid_calls.paid) == list(PLACES[:2])
    assert paid_calls.attempts == dict.fromkeys(PLACES, 1)
    model, told = ScriptedModel(), list[Event]()
    layers = stack(model, served("p/a"), Shared(), told.append, paid_calls=paid_calls)
    await execute(
        RunSpec("r", pipeline(steps(SIX, '{ step = "take", n = 1 }')), Question("Why?"), seed=0), layers, told.append
    )
    assert requests(model) == [(3, 4, 5, 6)]
    (began,) = [event for event in told if isinstance(event, AttemptStarted)]
    assert (began.attempt, began.others) == (2, tuple(Joined(place, 2) for place in PLACES[3:]))


async def test_of_samples_that_a_budget_can_not_pay_together_those_are_asked_that_it_can() -> None:
    config = config_of(SIX, AGGREGATE, settings="defaults.max_tokens = 100")
    answered: set[int] = set()
    for cents in range(5, 500, 15):
        cap = Decimal(cents) / 100
        async with Runs(
            config, Backend(ScriptedModel(otherwise=paid), lambda _: served("p/m", price=CENT))
        ).open() as runs:
            run = await start_run(runs, config.pipelines["p"], Question("Why?"), seed=1, max_cost_usd=cap)
            with anyio.fail_after(5):
                await run.ended.wait()
        trace = run.trace
        assert trace.cost_usd is not None
        assert trace.cost_usd <= cap
        answered.add(trace.steps[0].answered if trace.steps else 0)
    assert answered >= {0, 1, 3, 6}


# The provider's cache

CACHED = Price(Rates(Decimal(10), Decimal(1), Decimal(1), Decimal(1), Decimal(12)), "the test")
LONG = "Why? " * 1000


class Streaming:
    """Says one word when it is let, and the rest when it is let."""

    def __init__(self, failing: CallError | None = None) -> None:
        self.calls: list[Call] = []
        self.begins, self.ends = anyio.Event(), anyio.Event()
        self._failing = failing

    async def __call__(self, call: Call) -> Completion:
        self.calls.append(call)
        if call.on_text is not None:
            await self.begins.wait()
            if self._failing:
                raise self._failing
            call.on_text("a ")
        await self.ends.wait()
        return Completion("a b", "p/a")


async def asked_first(model: Streaming, **how: object) -> tuple[int, int]:
    """Return how many calls are under way before the first one's first word, and after it."""
    counts: list[int] = []
    usable = served("p/a", samples=1, price=how.get("price", CACHED))  # type: ignore[arg-type]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            shared = Shared(Limits(attempts=1), cache_first=bool(how.get("cache_first", True)))
            question = str(how.get("question", LONG))
            tasks.start_soon(lambda: six(model, usable, shared, question=question))
            for event in (model.begins, model.ends):
                await anyio.wait_all_tasks_blocked()
                counts.append(len(model.calls))
                event.set()
    return counts[0], counts[1]


async def test_with_a_cache_the_other_samples_wait_for_the_first_ones_first_word() -> None:
    model = Streaming()
    assert await asked_first(model) == (1, 6)
    assert [call.prompt_recurs for call in model.calls] == [True] * 6
    assert [call.on_text is not None for call in model.calls] == [True, *[False] * 5]


async def test_a_first_sample_that_does_not_begin_holds_the_others_back_for_some_time_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moa_mcp.middleware.batching.FIRST_S", 0.0)
    assert await asked_first(Streaming()) == (6, 6)


async def test_if_the_first_sample_fails_the_others_are_asked_all_the_same() -> None:
    assert await asked_first(Streaming(ServerFailed("500"))) == (1, 6)


@pytest.mark.parametrize(
    "how", [{"cache_first": False}, {"question": "Why?"}, {"price": None}], ids=["off", "short", "no cache known"]
)
async def test_where_no_cache_would_help_nobody_waits(how: dict[str, object]) -> None:
    model = Streaming()
    assert await asked_first(model, **how) == (6, 6)
    assert not any(call.prompt_recurs for call in model.calls)


def test_what_is_put_into_a_cache_costs_more_and_what_is_read_from_it_less() -> None:
    assert CACHED.cost_usd(Usage(100, 0)) == 1000
    assert CACHED.cost_usd(Usage(100, 0, cache_write_tokens=100)) == 1200
    assert CACHED.cost_usd(Usage(100, 0, cached_tokens=60, cache_write_tokens=30)) == 60 + 30 * 12 + 10 * 10
