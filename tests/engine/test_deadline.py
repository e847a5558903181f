"""How long a run waits for whom, with a clock that jumps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from moa_mcp.errors import STOPPED, ServerFailed
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.runs import Run
from moa_mcp.testing import Reply, ScriptedModel, by_place, run_pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Question
from tests.support.clocks import jumping
from tests.support.journals import config_of, runs_of
from tests.support.starting import resume_run, start_run
from tests.support.tables import AGGREGATE, PROPOSE, asked, steps

pytestmark = pytest.mark.anyio

PATIENT = '{ step = "propose", agents = ["a", "b", "c"], quorum = 2, grace_s = 5 }'
SYNTHESIZE = '{ step = "synthesize", agents = ["x", "y"] }'


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


def taking(seconds: Mapping[str, float]) -> ScriptedModel:
    """Return a model whose agents take so many seconds each, others none."""

    def slow(delay_s: float) -> Reply:
        async def reply(call: Call) -> str:
            await anyio.sleep(delay_s)
            return by_place(call)

        return reply

    return ScriptedModel({agent: slow(delay_s) for agent, delay_s in seconds.items()})


async def timed(pipeline: str, model: ScriptedModel) -> tuple[float, Trace]:
    """Run a pipeline; return how many seconds it took and its trace."""
    began = anyio.current_time()
    trace = await run_pipeline(pipeline, "Why?", model)
    return round(anyio.current_time() - began, 3), trace


# Grace


async def test_who_is_late_when_the_quorum_and_its_grace_are_there_is_left_behind() -> None:
    took, trace = await timed(steps(PATIENT, AGGREGATE), taking({"b": 3, "c": 60}))
    assert (took, trace.status, trace.answer) == (8, "degraded", "z at 2.1")
    late = "c: not waited for after 8.0 s: the quorum was reached and the grace period of 5 s is over"
    assert trace.degradations == (f"propose: 1 of 3 dropped ({late})",)
    (_, _, call) = trace.steps[0].calls
    assert call.failure is not None
    assert (call.failure.kind, call.failure.retryable, call.failure.paid) == ("StragglerDropped", False, None)
    assert [attempt.failure for attempt in call.attempts] == [STOPPED]


async def test_who_answers_within_the_grace_is_waited_for() -> None:
    took, trace = await timed(steps(PATIENT, AGGREGATE), taking({"b": 3, "c": 7}))
    assert (took, trace.status) == (7, "complete")


async def test_the_grace_begins_with_the_quorum_and_not_with_later_answers() -> None:
    panel = '{ step = "propose", agents = ["a", "b", "c"], grace_s = 5 }'
    took, trace = await timed(steps(panel, AGGREGATE), taking({"b": 4, "c": 8}))
    assert (took, trace.steps[0].answered) == (5, 2)


async def test_no_grace_begins_before_the_quorum_is_there() -> None:
    took, trace = await timed(steps(PATIENT, AGGREGATE), taking({"a": 50, "b": 60, "c": 70}))
    assert (took, trace.steps[0].answered) == (65, 2)


async def test_a_refinement_that_is_left_behind_leaves_its_answer_as_it_was() -> None:
    refine = '{ step = "refine", agents = ["x", "y"], grace_s = 1 }'
    model = taking({"y": 60})
    took, trace = await timed(steps(PROPOSE, refine, AGGREGATE), model)
    assert (took, trace.status) == (1, "degraded")
    assert asked(model, 3) == [("z", ("x at 2.1", "b at 1.2", "x at 2.3"))]


async def test_the_configurations_grace_holds_where_a_step_names_none() -> None:
    config = config_of(settings="defaults.grace_s = 2")
    async with runs_of(taking({"c": 60}), config=config).open() as runs:
        trace = await ended(await start_run(runs, config.pipelines["p"], Question("Why?")))
    assert "the grace period of 2 s is over" in trace.degradations[0]


async def ended(run: Run) -> Trace:
    await run.ended.wait()
    return run.trace


# Deadline


def within(seconds: float, *tables: str) -> str:
    return f"deadline_s = {seconds}\n{steps(*tables)}"


async def test_the_last_layers_time_is_kept_for_it() -> None:
    model = taking({"c": 100, "z": 29})
    took, trace = await timed(within(60, PROPOSE, AGGREGATE), model)
    assert (took, trace.status, trace.answer) == (59, "degraded", "z at 2.1")
    late = "c: not waited for after 30.0 s: not enough time left before the deadline of 60 s"
    assert trace.degradations == (f"propose: 1 of 3 dropped ({late})",)
    assert asked(model, 2) == [("z", ("a at 1.1", "b at 1.2"))]


async def test_a_last_layer_with_a_short_timeout_has_no_more_time_kept_for_it() -> None:
    aggregate = '{ step = "aggregate", agent = "z", timeout_s = 5 }'
    took, trace = await timed(within(60, PROPOSE, aggregate), taking({"c": 100}))
    assert (took, trace.status) == (55, "degraded")


async def test_a_run_without_any_limit_of_time_takes_what_it_takes() -> None:
    aggregate = '{ step = "aggregate", agent = "z", timeout_s = inf }'
    took, trace = await timed(f"deadline_s = inf\n{steps(PROPOSE, aggregate)}", taking({"c": 10_000}))
    assert (took, trace.status) == (10_000, "complete")


async def test_a_step_in_the_middle_that_would_take_the_last_ones_time_is_left_out() -> None:
    model = taking({"x": 100, "y": 100})
    took, trace = await timed(within(60, PROPOSE, SYNTHESIZE, AGGREGATE), model)
    assert (took, trace.status, trace.answer) == (40, "degraded", "z at 3.1")
    assert trace.degradations == ("synthesize: skipped: the deadline of 60 s leaves time for the last step only",)
    assert asked(model, 3) == [("z", ("a at 1.1", "b at 1.2", "c at 1.3"))]


async def test_a_step_in_the_middle_for_which_no_time_is_left_asks_nobody() -> None:
    model = taking({"a": 50, "b": 100, "c": 100, "z": 9})
    took, trace = await timed(within(60, PROPOSE, SYNTHESIZE, AGGREGATE), model)
    assert (took, trace.status, trace.answer) == (59, "degraded", "z at 3.1")
    assert model.calls_of("x") == []
    assert trace.steps[1].calls == []


async def test_a_first_step_without_its_quorum_takes_of_the_last_ones_time() -> None:
    took, trace = await timed(within(60, PROPOSE, AGGREGATE), taking({"a": 50, "b": 70, "c": 80, "z": 5}))
    assert (took, trace.status, trace.answer) == (55, "degraded", "z at 2.1")


@pytest.mark.parametrize("tables", [(PROPOSE, AGGREGATE), (PROPOSE, AGGREGATE, '{ step = "take", n = 1 }')])
async def test_a_run_whose_time_is_up_before_the_end_says_whose_single_answer_it_returns(
    tables: tuple[str, ...],
) -> None:
    took, trace = await timed(within(60, *tables), taking({"a": 1, "z": 100}))
    assert (took, trace.status, trace.answer) == (60, "degraded", "a at 1.1")
    whose = "this is the answer of a alone (call 1.1)"
    passed = "the deadline of 60 s passed before the answers were combined"
    assert trace.degradations == (f"aggregate: {passed}; {whose}",)


async def test_what_came_before_the_deadline_is_returned_though_the_quorum_was_not_there() -> None:
    panel = '{ step = "propose", agents = ["a", "b"], quorum = 2 }'
    took, trace = await timed(within(60, panel, AGGREGATE), taking({"a": 100, "b": 10}))
    assert (took, trace.status, trace.answer) == (60, "degraded", "b at 1.2")


async def test_the_step_that_chooses_among_answers_can_not_be_left_out_and_ends_with_the_deadline() -> None:
    rank = '{ step = "rank", agent = "x", n = 1 }'
    model = taking({"x": 100})
    took, trace = await timed(within(60, PROPOSE, rank, '{ step = "refine", agents = ["y"] }'), model)
    assert (took, trace.status, trace.answer) == (60, "degraded", "a at 1.1")
    assert model.calls_of("y") == []


async def test_a_run_fails_for_its_deadline_only_if_no_answer_came_at_all() -> None:
    slow = taking({"a": 100, "b": 100, "c": 100})
    took, trace = await timed(within(60, PROPOSE, AGGREGATE), slow)
    assert (took, trace.status, trace.answer) == (60, "failed", None)
    assert trace.error is not None
    assert trace.error.startswith("step 1 (propose): the deadline of 60 s passed: none of 3 calls was answered: a: ")


async def test_calls_that_failed_before_the_deadline_are_not_blamed_on_it() -> None:
    panel = '{ step = "propose", agents = ["a", "b", "c"], quorum = 3 }'
    model = ScriptedModel({"a": forever, "b": ServerFailed("down")})
    _, trace = await timed(within(60, panel, AGGREGATE), model)
    assert trace.status == "failed"


async def forever(_: Call) -> str:
    await anyio.sleep_forever()
    raise NotImplementedError


async def test_a_reply_that_came_too_late_to_be_asked_for_again_leaves_the_answers_unranked() -> None:
    async def unreadable(_: Call) -> str:
        await anyio.sleep(39)
        return "?"

    rank = '{ step = "rank", agent = "x", n = 2 }'
    took, trace = await timed(within(60, PROPOSE, rank, AGGREGATE), ScriptedModel({"x": unreadable}))
    assert (took, trace.status, trace.answer) == (40, "degraded", "z at 3.1")
    late, unranked = trace.degradations
    assert (
        late == "rank: 1 of 1 dropped (x: not waited for after 1.0 s: not enough time left before the deadline of 60 s)"
    )
    assert unranked == "rank: the ranking could not be read; all answers go on, unranked"


async def test_no_wave_begins_in_the_last_layers_time_once_the_quorum_is_there() -> None:
    stop = "stop = { ahead_by = 2 }"
    panel = f'{{ step = "propose", agents = ["a", "b", "c", "d"], {stop} }}'
    model = taking({"a": 40, "b": 50})
    took, trace = await timed(within(60, panel, AGGREGATE), model)
    assert (took, trace.status, trace.answer) == (40, "degraded", "z at 2.1")
    assert sorted(call.agent for call in model.calls) == ["a", "b", "z"]
    assert trace.degradations == (
        "propose: 1 of 2 dropped (b: not waited for after 40.0 s: not enough time left before the deadline of 60 s)",
        "propose: further calls were skipped: not enough time left before the deadline of 60 s",
    )


async def test_a_caller_can_name_a_deadline_and_a_resumed_run_has_all_of_it_again() -> None:
    config = config_of(PROPOSE, AGGREGATE, settings="limits.deadline_s = 500\nlimits.attempts = 1")
    journal = MemoryJournal()
    model = ScriptedModel({**dict.fromkeys("abc", forever)})
    async with runs_of(model, journal, config).open() as runs:
        began = anyio.current_time()
        failed = await ended(await start_run(runs, config.pipelines["p"], Question("Why?"), deadline_s=60))
        assert (failed.status, round(anyio.current_time() - began, 3)) == ("failed", 60)
    async with runs_of(taking({"c": 20}), journal, config).open() as runs:
        trace = await ended(await resume_run(runs, failed.run_id))
    assert (trace.status, trace.answer) == ("complete", "z at 2.1")
