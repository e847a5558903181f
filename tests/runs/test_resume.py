"""Runs that are left and gone on with: what is paid is not paid again, and no run is driven twice."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from moa_mcp.config import Pipeline
from moa_mcp.errors import MissingKey, RunNotFound, RunNotResumable, ServerFailed
from moa_mcp.events import AttemptFinished, AttemptStarted, CallFinished, CallStarted, Event, RunFinished
from moa_mcp.journal import RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.middleware import Usable
from moa_mcp.providers.backend import Backend, Models
from moa_mcp.runs import ForkedRun, Ready, Run, Runs, leases
from moa_mcp.steps.prompts import asked_form
from moa_mcp.testing import ScriptedModel, by_place
from moa_mcp.trace import replay
from moa_mcp.trace.trace import Trace, trace_of
from moa_mcp.values import Call, Completion, Message, Place, Question, Target, Usage
from tests.support.journals import CALLS, PANEL, config_of, runs_of
from tests.support.layers import at
from tests.support.starting import resume_run, start_run
from tests.support.tables import PROPOSE

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


P = PANEL.pipelines["p"]
Q = Question("Why?", "because of this", "Be brief.")
ONE_TRY = config_of(settings="limits.attempts = 1")
STOP = 'stop = { ahead_by = 2, extract = { regex = "(.) at" } }'
JUDGED = config_of(
    PROPOSE,
    '{ step = "shuffle" }',
    '{ step = "dropout", rate = 0.3 }',
    '{ step = "refine", agents = ["x", "y"], hedge = true, grace_s = 9 }',
    '{ step = "critique", agents = ["b", "x"] }',
    '{ step = "review", agents = ["b", "x"], grace_s = 9 }',
    '{ step = "rank", agent = "y", n = 2 }',
    f'{{ step = "propose", agents = [{{ model = "a", samples = 3 }}], keep = 2, {STOP} }}',
    '{ step = "sample", n = 3 }',
    '{ step = "analyze", agent = "y" }',
    '{ step = "synthesize", agents = ["x"] }',
    '{ step = "vote", agent = "y", method = "restate" }',
)
"""Chance, samples, judges, reviews, an analysis and criticism in one pipeline."""


def paid(call: Call) -> Completion:
    form = asked_form(call.messages[0].content)
    said = {"ranking": '{"ranking": [2, 1]}', "consensus": '{"blind_spots": ["time"]}'}
    text = said[form.field] if form is not None else by_place(call)
    return Completion(text, "p/m", usage=Usage(10, 5), cost_usd=Decimal("0.01"))


async def ended(run: Run) -> Trace:
    with anyio.fail_after(5):
        await run.ended.wait()
    return run.trace


async def whole(model: ScriptedModel, journal: MemoryJournal, seed: int) -> RunRecord:
    """Do the judged pipeline without interruption; return its record."""
    async with runs_of(model, journal, JUDGED).open() as runs:
        run = await start_run(runs, JUDGED.pipelines["p"], Q, seed=seed)
        await ended(run)
        record = await journal.record(run.run_id)
    assert record is not None
    return record


async def left_after(record: RunRecord, events: Sequence[Event]) -> MemoryJournal:
    """Return a journal as a process leaves it that dies when it has put so much on record."""
    journal = MemoryJournal()
    await journal.begin(replace(record, status="running"))
    for event in events:
        await journal.keep(record.run_id, event)
    await journal.release(record.run_id)
    return journal


def stopped(events: Sequence[Event]) -> bool:
    """Tell whether an attempt was under way at the end, or when the process died that made it."""
    begun, finished = (
        {(event.place, event.attempt) for event in events if isinstance(event, kind)}
        for kind in (AttemptStarted, AttemptFinished)
    )
    return begun != finished


def answered(events: Sequence[Event]) -> set[Place]:
    return {event.place for event in events if isinstance(event, AttemptFinished)}


def questions(calls: Sequence[Call]) -> dict[Place, tuple[str, tuple[Message, ...]]]:
    assert len({call.place for call in calls}) == len(calls)
    return {call.place: (call.agent, call.messages) for call in calls}


def ends(trace: Trace) -> object:
    """Return what a run came to."""
    steps = [(step.kind, step.answers, [(call.agent, call.completion) for call in step.calls]) for step in trace.steps]
    return trace.question, trace.planned, trace.status, trace.answer, trace.usage, steps


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.lists(st.floats(0, 1), min_size=1, max_size=3))
@example(0, [0.0])
@example(0, [1.0])
async def test_a_run_that_is_left_anywhere_asks_only_what_is_unanswered_and_comes_to_the_same_end(
    seed: int, lives: list[float]
) -> None:
    model, journal = ScriptedModel(otherwise=paid), MemoryJournal()
    record = await whole(model, journal, seed)
    undisturbed = trace_of((await journal.events(record.run_id)).events)
    asked = questions(model.calls)
    events: tuple[Event, ...] = (await journal.events(record.run_id)).events
    for share in lives:
        known = events[: round(share * (len(events) - 1))]
        journal, model = await left_after(record, known), ScriptedModel(otherwise=paid)
        async with runs_of(model, journal, JUDGED).open() as runs:
            trace = await ended(await resume_run(runs, record.run_id))
        events = (await journal.events(record.run_id)).events
        unanswered = asked.keys() - answered(known)
        assert questions(model.calls) == {place: asked[place] for place in unanswered}
        assert ends(trace) == ends(trace_of(events)) == ends(undisturbed)
        assert trace.resumed >= 1
        cost_usd = None if stopped(known) else undisturbed.cost_usd
        assert trace.cost_usd == trace_of(events).cost_usd == cost_usd


@given(st.data())
def test_what_is_read_from_the_beginning_of_a_record_agrees_with_the_trace_of_it(data: st.DataObject) -> None:
    events = _recorded()
    known = events[: data.draw(st.integers(0, len(events)))]
    checkpoint, paid_calls, trace = replay.checkpoint(Q, known), replay.paid_calls(known), trace_of(known)
    finished = [step for step in trace.steps if step.seconds is not None]
    assert checkpoint.steps == len(finished)
    assert checkpoint.state.answers == (finished[-1].answers if finished else ())
    assert paid_calls.paid.keys() == answered(known)
    attempts = {call.place: len(call.attempts) for step in trace.steps for call in step.calls if call.attempts}
    assert paid_calls.attempts == attempts


def _recorded() -> tuple[Event, ...]:
    async def record() -> tuple[Event, ...]:
        journal = MemoryJournal()
        return (await journal.events((await whole(ScriptedModel(otherwise=paid), journal, 7)).run_id)).events

    return anyio.run(record)


def test_an_answer_on_record_keeps_what_the_layers_said_of_it() -> None:
    place = Place(1, 1)
    bare = Completion("yes", "p/a")
    events: list[Event] = [
        CallStarted(place=place, agent="a", messages=()),
        AttemptStarted(place=place, attempt=1, model="p/a", parameters={}),
        AttemptFinished(place=place, attempt=1, completion=bare, seconds=1.0),
        CallFinished(place=place, completion=bare.noted("temperature left out"), seconds=1.0),
    ]
    assert replay.paid_calls(events[:3]).paid[place].completion == bare
    assert replay.paid_calls(events).paid[place].completion == bare.noted("temperature left out")


# Ways to be left


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


async def hangs(_: Call) -> str:
    await anyio.sleep_forever()
    raise NotImplementedError


async def standing(runs: Runs, model: ScriptedModel, calls: int, pipeline: Pipeline = P) -> Run:
    """Start a run and return it when so many calls went out and nothing moves any more."""
    run = await start_run(runs, pipeline, Q, seed=1)
    with anyio.fail_after(5):
        while len(model.calls) < calls:
            await run.changed()
        await anyio.wait_all_tasks_blocked()
    return run


async def test_after_a_failed_aggregator_only_the_aggregator_is_asked_again(path: Path) -> None:
    broken, mended = ScriptedModel({"z": ServerFailed("down")}), ScriptedModel()
    async with runs_of(broken, SQLiteJournal(path), ONE_TRY).open() as runs:
        failed = await ended(await start_run(runs, P, Q))
    async with runs_of(mended, SQLiteJournal(path), ONE_TRY).open() as runs:
        run = await resume_run(runs, failed.run_id)
        assert run.trace.status == "running"
        trace = await ended(run)
        record = await runs.journal.record(failed.run_id)
    assert (failed.status, len(broken.calls)) == ("failed", CALLS)
    assert [call.agent for call in mended.calls] == ["z"]
    assert (trace.status, trace.answer, trace.error, trace.resumed) == ("complete", "z at 3.1", None, 1)
    assert [call.failure for call in trace.steps[-1].calls] == [None]
    assert [attempt.failure is None for attempt in trace.steps[-1].calls[0].attempts] == [False, True]
    assert record is not None
    assert (record.status, record.owned) == ("complete", False)


async def test_a_cancelled_run_ends_as_cancelled_and_can_be_resumed(path: Path) -> None:
    model, again = ScriptedModel({"y": hangs}), ScriptedModel()
    async with runs_of(model, SQLiteJournal(path)).open() as runs:
        run = await standing(runs, model, 5)
        await runs.cancel(run.run_id)
        trace = await runs.trace(run.run_id)
        (last,) = [each for each in (await runs.journal.events(run.run_id)).events if isinstance(each, RunFinished)]
    assert (run.ended.is_set(), trace.status, last.status, trace.interrupted) == (True, "cancelled", "cancelled", False)
    async with runs_of(again, SQLiteJournal(path)).open() as runs:
        trace = await ended(await resume_run(runs, run.run_id))
    assert [call.agent for call in again.calls] == ["y", "z"]
    assert (trace.status, trace.answer) == ("complete", "z at 3.1")


async def test_a_run_that_is_cancelled_at_any_moment_leaves_no_attempt_open_and_pays_nothing_twice(path: Path) -> None:
    with anyio.fail_after(30):
        for moment in range(1, 40):
            model = ScriptedModel()
            async with runs_of(model, SQLiteJournal(path)).open() as runs:
                run = await _cancelled_at(runs, moment)
                await run.ended.wait()
                events = (await runs.journal.events(run.run_id)).events
                trace = await runs.trace(run.run_id)
                begun = [event.place for event in events if event.kind == "attempt_started"]
                over = [event.place for event in events if event.kind in {"attempt_finished", "attempt_failed"}]
                assert sorted(begun) == sorted(over)
                assert trace.status == run.trace.status
                if trace.status == "complete":
                    break
                assert trace.status == "cancelled"
                resumed = await ended(await resume_run(runs, run.run_id))
                assert (resumed.status, resumed.answer) == ("complete", "z at 3.1")
                assert len(model.calls) <= CALLS + len(begun) - len(answered(events))
        assert trace.status == "complete"


async def _cancelled_at(runs: Runs, moment: int) -> Run:
    told = 0

    def watch(_: Event) -> None:
        nonlocal told
        told += 1
        if told == moment:
            run.cancel()

    run = await start_run(runs, P, Q, watch=watch)
    return run


async def test_a_call_that_is_cancelled_while_it_is_put_on_record_is_not_made_and_has_its_end() -> None:
    model, journal = ScriptedModel(), _Hesitant()
    with anyio.fail_after(5):
        async with runs_of(model, journal).open() as runs:
            run = await start_run(runs, P, Q)
            await journal.wrote.wait()
            run.cancel()
            await anyio.wait_all_tasks_blocked()
            journal.returns.set()
            await run.ended.wait()
            events = (await journal.events(run.run_id)).events
    begun = [event.place for event in events if event.kind == "attempt_started"]
    over = [event.place for event in events if event.kind == "attempt_failed"]
    assert sorted(begun) == sorted(over) == [Place(1, 1), Place(1, 2), Place(1, 3)]
    assert (model.calls, run.trace.status) == ([], "cancelled")
    assert [len(call.attempts) for call in run.trace.steps[0].calls] == [1, 1, 1]


class _Hesitant(MemoryJournal):
    """What it wrote is on record before it says so."""

    def __init__(self) -> None:
        super().__init__()
        self.wrote, self.returns = anyio.Event(), anyio.Event()

    async def keep(self, run_id: str, event: Event) -> None:
        await super().keep(run_id, event)
        self.wrote.set()
        await self.returns.wait()


async def test_a_run_whose_process_stops_is_unfinished_and_free_at_once(path: Path) -> None:
    model, again = ScriptedModel({"c": hangs}), ScriptedModel()
    async with runs_of(model, SQLiteJournal(path)).open() as runs:
        run = await standing(runs, model, 3)
    rival = SQLiteJournal(path)
    record = await rival.record(run.run_id)
    assert record is not None
    assert (record.status, record.owned) == ("running", False)
    assert (run.ended.is_set(), run.trace.status, run.trace.interrupted) == (True, "running", True)
    async with runs_of(again, rival).open() as runs:
        assert (await runs.trace(run.run_id)).interrupted
        trace = await ended(await resume_run(runs, run.run_id))
    assert sorted(call.agent for call in again.calls) == ["c", "x", "y", "z"]
    assert (trace.status, trace.interrupted) == ("complete", False)


async def test_stopping_all_runs_wakes_those_who_wait_and_leaves_the_runs(path: Path) -> None:
    model = ScriptedModel({"c": hangs})
    with anyio.fail_after(5):
        async with runs_of(model, SQLiteJournal(path)).open() as runs:
            run = await standing(runs, model, 3)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run.changed)
                await anyio.wait_all_tasks_blocked()
                runs.stop_all()
                await runs.idle()
            assert (await runs.trace(run.run_id)).interrupted


# What a resume goes by


async def test_a_resume_goes_by_the_recorded_pipeline_and_routes_and_not_by_todays_configuration(path: Path) -> None:
    model, again = ScriptedModel({"c": hangs}), ScriptedModel()
    async with runs_of(model, SQLiteJournal(path)).open() as runs:
        run = await standing(runs, model, 3)
    today = config_of('{ step = "propose", agents = ["openai/another"] }')
    served: list[Models] = []

    def usable(models: Models) -> Usable:
        served.append(models)
        return at("p/m")

    backend = Backend(again, usable)
    async with Runs(today, backend, SQLiteJournal(path)).open() as runs:
        trace = await ended(await resume_run(runs, run.run_id))
    assert served == [{name: PANEL.models[name] for name in "abcxyz"}]
    assert (trace.pipeline, trace.planned, trace.answer) == ("p", ("propose", "synthesize", "aggregate"), "z at 3.1")
    assert (trace.question, trace.seed) == (Q, 1)
    assert sorted(call.agent for call in again.calls) == ["c", "x", "y", "z"]


async def test_an_answer_that_is_paid_needs_no_key_any_more(path: Path) -> None:
    model, again = ScriptedModel({"c": hangs}), ScriptedModel()
    async with runs_of(model, SQLiteJournal(path)).open() as runs:
        run = await standing(runs, model, 3)

    async def without_a(alias: str) -> tuple[Target, ...]:
        if alias == "a":
            raise MissingKey("no route can be used here")
        return (Target("p/m", "p"),)

    async with Runs(PANEL, Backend(again, lambda _: without_a), SQLiteJournal(path)).open() as runs:
        trace = await ended(await resume_run(runs, run.run_id))
    assert [answer.agent for answer in trace.steps[0].answers] == ["a", "b", "c"]
    assert trace.status == "complete"


async def test_a_simulated_run_is_not_gone_on_with_by_real_models(path: Path) -> None:
    model = ScriptedModel({"c": hangs})
    simulated = replace(runs_of(model).backend, simulated=True)
    async with Runs(PANEL, simulated, SQLiteJournal(path)).open() as runs:
        run = await standing(runs, model, 3)
    async with runs_of(model, SQLiteJournal(path)).open() as runs:
        with pytest.raises(RunNotResumable, match="was simulated"):
            await resume_run(runs, run.run_id)


# Who may


async def test_a_run_that_has_its_answer_can_not_be_resumed(path: Path) -> None:
    async with runs_of(ScriptedModel(), SQLiteJournal(path)).open() as runs:
        trace = await ended(await start_run(runs, P, Q))
        with pytest.raises(RunNotResumable, match=f"run {trace.run_id} is complete; there is nothing to resume"):
            await resume_run(runs, trace.run_id)
        with pytest.raises(RunNotFound):
            await resume_run(runs, "another")


async def test_a_run_that_another_living_process_drives_is_not_driven_twice(path: Path) -> None:
    model, rival = ScriptedModel({"c": hangs}), ScriptedModel()
    async with runs_of(model, SQLiteJournal(path)).open() as here, runs_of(rival, SQLiteJournal(path)).open() as there:
        run = await standing(here, model, 3)
        with pytest.raises(RunNotResumable, match="is active in another process; wait for it, or cancel it"):
            await resume_run(there, run.run_id)
        assert not (await there.trace(run.run_id)).interrupted
        assert await resume_run(here, run.run_id) is run
    assert rival.calls == []


async def test_those_who_resume_a_run_at_once_get_the_same_one(path: Path) -> None:
    broken, mended = ScriptedModel({"z": ServerFailed("down")}), ScriptedModel({"z": hangs})
    async with runs_of(broken, SQLiteJournal(path), ONE_TRY).open() as runs:
        failed = await ended(await start_run(runs, P, Q))
    async with runs_of(mended, SQLiteJournal(path), ONE_TRY).open() as runs:
        first, *others = await anyio.amap(partial(resume_run, runs), [failed.run_id] * 5)
        assert others == [first] * 4
        with anyio.fail_after(5):
            await anyio.wait_all_tasks_blocked()
    assert len(mended.calls) <= 1


async def test_a_run_that_another_process_cancels_ends_here_as_cancelled(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_S", 0.01)
    model = ScriptedModel({"c": hangs})
    async with runs_of(model, SQLiteJournal(path)).open() as here, runs_of(model, SQLiteJournal(path)).open() as there:
        run = await _begun(here, model)
        await there.cancel(run.run_id)
        assert (await ended(run)).status == "cancelled"
        assert (await there.trace(run.run_id)).status == "cancelled"
    assert len(model.calls) == 3


async def _begun(runs: Runs, model: ScriptedModel) -> Run:
    """Return a run whose three proposers are asked; two have answered, on record."""
    run = await start_run(runs, P, Q)
    with anyio.fail_after(5):
        while len(model.calls) < 3 or [call.completion is None for call in run.trace.steps[0].calls].count(False) < 2:
            await run.changed()
    return run


async def test_a_run_that_another_process_took_over_stops_here_and_asks_nothing_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_S", 0.01)
    zombie, heir = ScriptedModel({"c": hangs}), ScriptedModel()
    async with runs_of(zombie, _Asleep(path)).open() as here, runs_of(heir, _Brisk(path)).open() as there:
        run = await _begun(here, zombie)
        trace = await ended(await resume_run(there, run.run_id))
        events = (await there.journal.events(run.run_id)).events
        assert isinstance(here.journal, _Asleep)
        here.journal.asleep = False
        assert (await ended(run)).interrupted
        assert (await there.journal.events(run.run_id)).events == events
        assert (await here.trace(run.run_id)).answer == trace.answer == "z at 3.1"
    assert len(zombie.calls) == 3
    assert sorted(call.agent for call in heir.calls) == ["c", "x", "y", "z"]


class _Brisk(SQLiteJournal):
    """It does not wait long for a sign of life."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, lease_s=0.2)


class _Asleep(SQLiteJournal):
    """Its leases run out at once, and it does not notice before it wakes."""

    asleep = True

    def __init__(self, path: Path) -> None:
        super().__init__(path, lease_s=-1)

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        return frozenset(run_ids) if self.asleep else await super().renew(run_ids)


async def test_a_call_of_a_run_that_is_anothers_now_is_not_made(path: Path) -> None:
    free, waits = anyio.Event(), anyio.Event()

    async def held(call: Call) -> str:
        waits.set()
        await free.wait()
        return by_place(call)

    zombie, heir = ScriptedModel({"c": held}), ScriptedModel()
    with anyio.fail_after(5):
        async with runs_of(zombie, _Asleep(path)).open() as here, runs_of(heir, _Brisk(path)).open() as there:
            run = await start_run(here, P, Q)
            await waits.wait()
            await ended(await resume_run(there, run.run_id))
            events = (await there.journal.events(run.run_id)).events
            free.set()
            await run.ended.wait()
            assert (await there.journal.events(run.run_id)).events == events
            record = await there.journal.record(run.run_id)
    assert len(zombie.calls) == 3
    assert record is not None
    assert record.status == "complete"


async def test_a_run_that_is_put_on_record_while_leases_are_renewed_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_S", 0.0)
    model = ScriptedModel()
    async with runs_of(model, _Slow()).open() as runs:
        trace = await ended(await start_run(runs, P, Q))
    assert trace.status == "complete"


class _Slow(MemoryJournal):
    """A run's beginning is written just after the leases of the others were renewed."""

    def __init__(self) -> None:
        super().__init__()
        self._renewed, self._begun = anyio.Event(), anyio.Event()

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        await self._renewed.wait()
        begun = await super().begin(record, queued=queued, max_runs=max_runs)
        self._begun.set()
        return begun

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        kept = await super().renew(run_ids)
        self._renewed.set()
        await self._begun.wait()
        return kept


# What resumes by itself


@pytest.mark.parametrize(("resume", "asked"), [("on-request", []), ("auto", ["c", "x", "y", "z"])])
async def test_interrupted_runs_go_on_by_themselves_only_where_the_configuration_says_so(
    path: Path, resume: str, asked: list[str]
) -> None:
    model, again = ScriptedModel({"c": hangs}), ScriptedModel()
    unhedged = tuple(step.model_copy(update={"hedge": False}) for step in P.steps)  # however slow the machine is
    async with runs_of(model, SQLiteJournal(path)).open() as runs:
        run = await standing(runs, model, 3, P.model_copy(update={"steps": unhedged}))
    config = config_of(settings=f'journal.resume = "{resume}"')
    async with runs_of(again, SQLiteJournal(path), config).open() as runs:
        with anyio.fail_after(5):
            while asked and (await runs.trace(run.run_id)).status == "running":
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            await runs.idle()
        trace = await runs.trace(run.run_id)
    assert sorted(call.agent for call in again.calls) == asked
    assert trace.status == ("complete" if asked else "running")


AGREED = config_of(
    '{ step = "propose", agents = ["a", "b"] }',
    '{ step = "agree", agent = "z", makers = 1 }',
    '{ step = "propose", agents = ["x"], keep = "all" }',
    '{ step = "aggregate", agent = "y" }',
    settings="limits.attempts = 1",
)


async def test_a_run_that_ended_early_is_over_wherever_its_process_died() -> None:
    model, journal = ScriptedModel({"z": "yes"}), MemoryJournal()
    async with runs_of(model, journal, AGREED).open() as runs:
        whole = await ended(await start_run(runs, AGREED.pipelines["p"], Q))
        record = await journal.record(whole.run_id)
    assert record is not None
    assert (whole.answer, whole.not_needed) == ("a at 1.1", ("propose", "aggregate"))
    events = (await journal.events(record.run_id)).events
    for known in range(len(events)):
        again = ScriptedModel({"z": "yes"})
        left = await left_after(record, events[:known])
        async with runs_of(again, left, AGREED).open() as runs:
            trace = await ended(await resume_run(runs, record.run_id))
        assert ends(trace) == ends(whole)
        assert len(again.calls) == 3 - len(answered(events[:known]))


async def test_a_fork_after_an_early_end_goes_on_and_can_be_resumed() -> None:
    model, journal = ScriptedModel({"z": "yes", "y": [ServerFailed("down"), "merged"]}), MemoryJournal()
    pipeline = AGREED.pipelines["p"]
    async with runs_of(model, journal, AGREED).open() as runs:
        whole = await ended(await start_run(runs, pipeline, Q))
        ready = await runs.admit(ForkedRun(run_id=whole.run_id, step=3, pipeline=pipeline))
        assert isinstance(ready, Ready)
        forked = await ended(await runs.start(ready))
        assert (forked.status, forked.not_needed) == ("failed", ())
        trace = await ended(await resume_run(runs, forked.run_id))
    assert (trace.status, trace.answer) == ("complete", "merged")
    assert [call.agent for call in model.calls] == ["a", "b", "z", "x", "y", "y"]
