from __future__ import annotations

import anyio
import pytest

from moa_mcp.engine.execute import RunSpec, execute
from moa_mcp.errors import STOPPED, AuthFailed, Failure, ServerFailed, TimedOut
from moa_mcp.events import AttemptFailed, AttemptStarted, Event, RunFinished, TextReceived
from moa_mcp.middleware import Recorded
from moa_mcp.testing import ScriptedModel, pipeline, run_pipeline
from moa_mcp.values import Call, Completion, Place, Question
from tests.support.tables import AGGREGATE, PROPOSE, steps

pytestmark = pytest.mark.anyio

VOTE = '{ step = "vote", agent = "judge" }'
EVERYTHING = steps(
    PROPOSE,
    '{ step = "shuffle" }',
    '{ step = "refine", agents = ["x"] }',
    '{ step = "rank", agent = "judge", n = 2 }',
    '{ step = "synthesize", agents = ["x", "y"] }',
    AGGREGATE,
)
RANKS = {"judge": '{"ranking": [1, 2, 3]}'}


async def test_what_happens_is_told_in_order() -> None:
    events: list[Event] = []
    alone = '{ step = "propose", agents = ["a"] }'
    await run_pipeline(steps(alone, '{ step = "shuffle" }', AGGREGATE), "Why?", ScriptedModel(), watch=events.append)
    assert [(event.kind, getattr(event, "place", None)) for event in events] == [
        ("run_started", None),
        ("step_started", None),
        ("call_started", Place(1, 1)),
        ("attempt_started", Place(1, 1)),
        ("attempt_finished", Place(1, 1)),
        ("call_finished", Place(1, 1)),
        ("step_finished", None),
        ("step_started", None),
        ("step_finished", None),
        ("step_started", None),
        ("call_started", Place(3, 1)),
        ("attempt_started", Place(3, 1)),
        ("text_received", Place(3, 1)),
        ("text_received", Place(3, 1)),
        ("text_received", Place(3, 1)),
        ("attempt_finished", Place(3, 1)),
        ("call_finished", Place(3, 1)),
        ("step_finished", None),
        ("run_finished", None),
    ]


async def test_the_calls_of_a_step_are_told_in_their_order_and_go_out_together() -> None:
    under_way = 0
    all_there = anyio.Event()

    async def together(call: Call) -> str:
        nonlocal under_way
        under_way += 1
        if under_way == 3:
            all_there.set()
        await all_there.wait()
        return call.agent

    events: list[Event] = []
    with anyio.fail_after(5):
        await run_pipeline(
            steps(PROPOSE, AGGREGATE), "Why?", ScriptedModel({"z": "end"}, otherwise=together), watch=events.append
        )
    started = [event.place.number for event in events if event.kind == "call_started" and event.place.step == 1]
    assert started == [1, 2, 3]


async def test_if_all_proposers_fail_the_run_fails_with_every_reason_and_no_answer() -> None:
    replies = {"a": AuthFailed("bad key"), "b": ServerFailed("HTTP 500"), "c": TimedOut("too slow")}
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", ScriptedModel(dict(replies)))
    assert (trace.status, trace.answer) == ("failed", None)
    assert trace.error == "step 1 (propose): none of 3 calls was answered: a: bad key; b: HTTP 500; c: too slow"
    assert len(trace.steps) == 1


async def test_if_the_aggregator_fails_the_run_fails_and_no_proposal_stands_in_for_it() -> None:
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", ScriptedModel({"z": AuthFailed("bad key")}))
    assert (trace.status, trace.answer) == ("failed", None)
    assert trace.error == "step 2 (aggregate): no answer came: z: bad key"
    assert [answer.text for answer in trace.steps[0].answers] == ["a at 1.1", "b at 1.2", "c at 1.3"]


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (
            '{ step = "propose", agents = ["a", "b", "c"], quorum = 2 }',
            "step 1 (propose): 1 of 3 calls were answered, 2 are needed: b: down; c: down",
        ),
        (
            '{ step = "propose", agents = ["a", "b"], quorum = 2 }',
            "step 1 (propose): 1 of 2 calls were answered, 2 are needed: b: down",
        ),
    ],
)
async def test_fewer_answers_than_the_quorum_fail_the_run(step: str, error: str) -> None:
    model = ScriptedModel({"b": ServerFailed("down"), "c": ServerFailed("down")})
    trace = await run_pipeline(steps(step, AGGREGATE), "Why?", model)
    assert (trace.status, trace.answer, trace.error) == ("failed", None, error)


async def test_a_quorum_of_refinements_counts_answers_and_not_agents() -> None:
    refine = '{ step = "refine", agents = ["x"], quorum = 2 }'
    model = ScriptedModel({"x": lambda call: ServerFailed("down") if call.place.number > 1 else "better"})
    trace = await run_pipeline(steps(PROPOSE, refine, AGGREGATE), "Why?", model)
    assert trace.error == "step 2 (refine): 1 of 3 calls were answered, 2 are needed: x: down (2 times)"


async def test_as_many_answers_as_the_quorum_are_enough() -> None:
    panel = '{ step = "propose", agents = ["a", "b", "c"], quorum = 2 }'
    trace = await run_pipeline(steps(panel, AGGREGATE), "Why?", ScriptedModel({"b": ServerFailed("down")}))
    assert (trace.status, trace.answer) == ("degraded", "z at 2.1")


async def test_a_pipeline_that_ends_with_several_answers_fails_rather_than_pick_one() -> None:
    last = '{ step = "rank", agent = "judge", n = 1 }'
    trace = await run_pipeline(steps(PROPOSE, last), "Why?", ScriptedModel({"judge": "?"}))
    assert (trace.status, trace.answer) == ("failed", None)
    assert trace.error == "the pipeline ended with 3 answers instead of one; the trace lists them"


async def test_a_fault_of_a_provider_that_is_no_call_error_is_not_taken_for_one() -> None:
    def broken(_: Call) -> str:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", ScriptedModel({"b": broken}))


async def test_the_last_answers_text_is_told_as_it_arrives() -> None:
    events: list[Event] = []
    model = ScriptedModel({"z": "All of it,\n piece by piece."})
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model, watch=events.append)
    told = [event for event in events if isinstance(event, TextReceived)]
    assert {event.place for event in told} == {Place(2, 1)}
    assert "".join(event.text for event in told) == trace.answer == "All of it,\n piece by piece."
    assert len(told) > 1


@pytest.mark.parametrize(
    "last", [VOTE, f'{PROPOSE}, {{ step = "take", n = 1 }}', '{ step = "rank", agent = "judge", n = 1 }']
)
async def test_a_text_that_is_not_the_answer_is_not_told_as_it_arrives(last: str) -> None:
    events: list[Event] = []
    model = ScriptedModel({"judge": '{"answer": 1, "ranking": [1, 2, 3]}'})
    trace = await run_pipeline(steps(PROPOSE, last), "Why?", model, watch=events.append)
    assert trace.status == "complete"
    assert not [event for event in events if isinstance(event, TextReceived)]


async def test_several_texts_at_once_are_not_told_as_they_arrive() -> None:
    events: list[Event] = []
    unread = '{ step = "rank", agent = "judge", n = 1 }, { step = "refine", agents = ["x"] }'
    trace = await run_pipeline(steps(PROPOSE, unread), "Why?", ScriptedModel({"judge": "?"}), watch=events.append)
    assert len(trace.steps[-1].calls) == 3
    assert not [event for event in events if isinstance(event, TextReceived)]


async def test_nobody_who_watches_means_nobody_is_told_pieces() -> None:
    model = ScriptedModel()
    await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    assert [call.on_text for call in model.calls] == [None] * 4


async def test_a_run_that_is_cancelled_at_any_moment_leaves_no_attempt_open_and_tells_no_end() -> None:
    uncancelled = await _cancelled_after(10**6)
    assert uncancelled[-1].kind == "run_finished"
    last_wait = max(number for number, event in enumerate(uncancelled, 1) if event.kind == "attempt_started")
    for moment in range(1, last_wait + 1):
        events = await _cancelled_after(moment)
        assert not [event for event in events if isinstance(event, RunFinished)]
        begun = [event.place for event in events if event.kind == "attempt_started"]
        ended = [event.place for event in events if event.kind in {"attempt_finished", "attempt_failed"}]
        assert sorted(begun) == sorted(ended)


async def _cancelled_after(moment: int) -> list[Event]:
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if len(events) == moment:
            scope.cancel()

    spec = RunSpec("r", pipeline(EVERYTHING), Question("Why?"), seed=0)
    with anyio.CancelScope() as scope:
        await execute(spec, Recorded(ScriptedModel(dict(RANKS)), emit), emit)
    return events


async def test_a_call_that_hangs_is_ended_by_the_runs_cancellation() -> None:
    events: list[Event] = []
    hangs = anyio.Event()

    async def hanging(_: Call) -> Completion:
        hangs.set()
        await anyio.sleep_forever()
        raise NotImplementedError

    spec = RunSpec("r", pipeline(steps(PROPOSE, AGGREGATE)), Question("Why?"), seed=0)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            model = Recorded(ScriptedModel({"b": hanging}), events.append)
            tasks.start_soon(execute, spec, model, events.append)
            await hangs.wait()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    (begun,) = [event for event in events if isinstance(event, AttemptStarted) and event.place == Place(1, 2)]
    (failed,) = [event for event in events if isinstance(event, AttemptFailed)]
    assert (failed.place, failed.attempt, failed.failure) == (begun.place, begun.attempt, STOPPED)
    assert Failure("Stopped", "stopped before an answer came", retryable=False, paid=None) == STOPPED
    assert not [event for event in events if isinstance(event, RunFinished)]
