from __future__ import annotations

from decimal import Decimal

import pytest

from moa_mcp.engine.execute import RunSpec, execute
from moa_mcp.errors import AnswerEmpty, AuthFailed, CallError, ConnectionFailed, ServerFailed, TimedOut
from moa_mcp.events import Event, RunFinished, RunResumed, RunStarted, StepStarted, TextReceived
from moa_mcp.middleware import Limits, Shared, stack
from moa_mcp.testing import ScriptedModel, pipeline, run_pipeline
from moa_mcp.trace.trace import AttemptTrace, CallTrace, Trace, trace_of
from moa_mcp.values import Call, Completion, Message, Place, Question, Status, Target, Usage
from tests.support.tables import AGGREGATE, PROPOSE, steps

pytestmark = pytest.mark.anyio

TOKENS = Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=40, reasoning_tokens=4)


def paid(text: str, cost: str | None = "0.01", usage: Usage | None = TOKENS) -> Completion:
    return Completion(text, "served", usage=usage, cost_usd=None if cost is None else Decimal(cost))


def billed(error: CallError, usage: Usage | None, cost: str | None) -> CallError:
    error.usage, error.cost_usd = usage, None if cost is None else Decimal(cost)
    return error


async def test_usage_and_cost_are_summed_over_calls_steps_and_the_run() -> None:
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", ScriptedModel(otherwise=paid("there", "0.015")))
    assert trace.steps[0].calls[0].usage == TOKENS
    assert trace.steps[0].usage == Usage(300, 30, 120, 12)
    assert trace.usage == Usage(400, 40, 160, 16)
    assert [step.cost_usd for step in trace.steps] == [Decimal("0.045"), Decimal("0.015")]
    assert trace.cost_usd == Decimal("0.06")


async def test_the_cost_is_unknown_if_that_of_any_call_is() -> None:
    model = ScriptedModel({"b": paid("there", None)}, otherwise=paid("there"))
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    assert [step.cost_usd for step in trace.steps] == [None, Decimal("0.01")]
    assert trace.cost_usd is None


async def test_usage_that_a_provider_does_not_report_counts_as_nothing() -> None:
    model = ScriptedModel({"b": paid("there", usage=None)}, otherwise=paid("there"))
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    assert trace.usage == Usage(300, 30, 120, 12)


@pytest.mark.parametrize(
    ("error", "cost"),
    [
        (AuthFailed("401"), Decimal("0.04")),
        (billed(AnswerEmpty("thoughts", at_limit=False), TOKENS, "0.02"), Decimal("0.06")),
        (billed(AnswerEmpty("thoughts", at_limit=False), TOKENS, None), None),
        (ServerFailed("500"), Decimal("0.04")),
        (TimedOut("slow"), None),
        (ConnectionFailed("reset"), None),
    ],
    ids=[
        "nothing billed",
        "billed",
        "billed, price unknown",
        "not answered",
        "maybe billed",
        "maybe billed, broken off",
    ],
)
async def test_what_a_failed_call_cost_is_counted(error: CallError, cost: Decimal | None) -> None:
    model = ScriptedModel({"b": error}, otherwise=paid("there", "0.01"))
    panel = '{ step = "propose", agents = ["a", "b", "c", "d"] }'
    trace = await run_pipeline(steps(panel, AGGREGATE), "Why?", model)
    assert trace.cost_usd == cost
    assert (trace.steps[0].answered, trace.steps[0].failed) == (3, 1)
    assert trace.steps[0].models == ("a", "b", "c", "d")


async def test_a_call_keeps_all_its_attempts_and_no_key() -> None:
    async def usable(_: str) -> tuple[Target, ...]:
        return Target("p/a", "p", api_key="opensesame"), Target("q/a", "q", api_key="opensesame")

    trace = Trace()
    provider = ScriptedModel({"a": [AuthFailed("401"), paid("there")]})
    model = stack(provider, usable, Shared(Limits(attempts=1)), trace.add)
    spec = RunSpec("r", pipeline(steps('{ step = "propose", agents = ["a"] }')), Question("Why?"), seed=0)
    await execute(spec, model, trace.add)
    (call,) = trace.steps[0].calls
    assert (call.place, call.agent, call.messages) == (Place(1, 1), "a", (Message("user", "Why?"),))
    assert [(each.model, each.failure and each.failure.kind, each.completion) for each in call.attempts] == [
        ("p/a", "AuthFailed", None),
        ("q/a", None, paid("there")),
    ]
    assert call.completion == paid("there").noted("p/a failed, so the next route was used: 401")
    assert (call.cost_usd, trace.cost_usd, trace.answer) == (Decimal("0.01"), Decimal("0.01"), "there")
    assert "opensesame" not in repr(trace)


async def test_a_note_that_many_calls_have_stands_once_and_notes_keep_their_order() -> None:
    def left_out(call: Call) -> Completion:
        return Completion("there", call.agent, notes=("no temperature",))

    model = ScriptedModel(
        {"b": ServerFailed("500"), "z": Completion("In the", "z", finish_reason="length")}, otherwise=left_out
    )
    trace = await run_pipeline(steps(PROPOSE, '{ step = "take", n = 1 }', AGGREGATE), "Why?", model)
    assert trace.notes == (
        "no temperature",
        "propose: 1 of 3 failed (b: 500)",
        "take: removed: 2",
        "z was cut off at its token limit",
    )
    assert trace.degradations == (
        "propose: 1 of 3 failed (b: 500)",
        "the answer was cut off at its token limit",
    )


async def test_a_trace_is_made_of_events_alone_at_any_moment_of_a_run() -> None:
    events: list[Event] = []
    whole = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", ScriptedModel(), seed=3, watch=events.append)
    assert trace_of(events) == whole
    assert trace_of(event for event in events if not isinstance(event, TextReceived)) == whole
    for moment in range(len(events)):
        sofar = trace_of(events[:moment])
        assert (sofar.status, sofar.answer, sofar.seconds) == ("running", None, None)
    assert (whole.run_id, whole.pipeline, whole.seed, whole.planned) == ("test", "test", 3, ("propose", "aggregate"))


def test_a_trace_without_events_is_empty() -> None:
    assert trace_of(()) == Trace()
    assert (Trace().usage, Trace().cost_usd, Trace().notes, Trace().degradations) == (Usage(), Decimal(0), (), ())


def test_an_attempt_under_way_costs_nothing_yet() -> None:
    call = CallTrace(Place(1, 1), "a", (), [AttemptTrace("p/a", {})])
    assert (call.usage, call.cost_usd) == (Usage(), Decimal(0))


def test_a_resumed_run_was_worked_on_in_all_its_stretches_and_not_between_them() -> None:
    def resumed(at: float) -> RunResumed:
        return RunResumed(finished_steps=0, at=at)

    def finished(status: Status, seconds: float, at: float) -> RunFinished:
        return RunFinished(status=status, answer=None, error=None, seconds=seconds, at=at)

    events = (
        RunStarted(run_id="run", pipeline="p", question=Question("Why?"), seed=0, steps=("propose",), at=100),
        StepStarted(step=1, step_kind="propose", at=103),  # cut off after 3 seconds
        resumed(at=1000),
        finished("failed", 2.5, at=1002.5),
        resumed(at=2000),
        StepStarted(step=1, step_kind="propose", at=1500),  # the clock was set back
        resumed(at=3000),
        finished("complete", 4.0, at=3004),
    )
    worked = [trace_of(events[:count]).seconds for count in range(1, len(events) + 1)]
    assert worked == [None, None, None, 5.5, None, None, None, 9.5]


async def test_a_failed_run_has_a_trace_of_what_it_did() -> None:
    model = ScriptedModel({"z": ServerFailed("500")}, otherwise=paid("there"))
    trace = await run_pipeline(steps(PROPOSE, AGGREGATE), "Why?", model)
    assert (trace.status, trace.cost_usd, len(trace.steps)) == ("failed", Decimal("0.03"), 2)
    assert (trace.steps[1].seconds, trace.steps[1].answers, trace.steps[1].failed) == (None, (), 1)
