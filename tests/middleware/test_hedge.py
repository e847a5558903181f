"""Spare calls for those that take much longer than their siblings, through whole runs and with a clock that jumps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from moa_mcp.config import Pipeline
from moa_mcp.errors import STOPPED, AuthFailed
from moa_mcp.events import AttemptFinished, CallFinished
from moa_mcp.journal import Page
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.middleware import Usable
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import Runs
from moa_mcp.testing import Scripted, ScriptedModel
from moa_mcp.trace.trace import CallTrace, Trace
from moa_mcp.values import Call, Program, Question, Target
from tests.support.clocks import jumping
from tests.support.journals import config_of
from tests.support.layers import at
from tests.support.starting import fork_run, resume_run, start_run
from tests.support.tables import AGGREGATE

pytestmark = pytest.mark.anyio

ALL = "defaults.grace_s = inf"
HEDGED = config_of('{ step = "propose", agents = ["a", "b", "c", "x"], hedge = true }', AGGREGATE, settings=ALL)
PLAIN = config_of('{ step = "propose", agents = ["a", "b", "c", "x"], hedge = false }', AGGREGATE, settings=ALL)
SLOW = "x"
UNKNOWN = "1 request may have been billed without an answer: the cost is unknown"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


def taking(seconds: Mapping[str, float], spare: Scripted = "spare", spare_s: float = 1) -> ScriptedModel:
    """Return a model whose agents take so long; a second call of the slow one takes `spare_s`."""
    tried: list[Call] = []

    async def slow(call: Call) -> Scripted:
        tried.append(call)
        first = len(tried) == 1
        await anyio.sleep(seconds.get(SLOW, 0) if first else spare_s)
        return "first" if first else spare

    async def other(call: Call) -> Scripted:
        await anyio.sleep(seconds.get(call.agent, 0))
        return "other"

    return ScriptedModel({SLOW: slow}, otherwise=other)


async def asked(model: ScriptedModel, *routes: str, config: Any = HEDGED) -> tuple[float, Trace]:
    """Ask; return how many seconds the first step took, and the trace."""
    async with Runs(config, Backend(model, lambda _: at(*(routes or ("p/m",))))).open() as runs:
        began = anyio.current_time()
        run = await start_run(runs, config.pipelines["p"], Question("Why?"))
        await run.ended.wait()
        return round(anyio.current_time() - began, 1), run.trace


def slow_one(trace: Trace) -> CallTrace:
    (call,) = [call for call in trace.steps[0].calls if call.agent == SLOW]
    return call


def outcomes(trace: Trace) -> list[str]:
    return [attempt.completion.text if attempt.completion else "stopped" for attempt in slow_one(trace).attempts]


QUICK = {"a": 2, "b": 2, "c": 2}


async def test_a_late_call_gets_a_spare_one_and_the_first_answer_is_taken() -> None:
    took, trace = await asked(taking({**QUICK, SLOW: 60}))
    call = slow_one(trace)
    assert (took, trace.status) == (3, "complete")
    assert outcomes(trace) == ["stopped", "spare"]
    assert call.attempts[0].failure == STOPPED
    assert call.completion is not None
    assert call.completion.notes == ("sent a second request after 2.0 s; the second one answered first",)


LAST = config_of(
    '{ step = "propose", agents = ["a", "b", "c"], hedge = true }', '{ step = "aggregate", agent = "x", hedge = true }'
)


async def test_a_call_that_is_alone_in_its_step_is_late_after_twice_the_time_of_the_steps_before() -> None:
    took, trace = await asked(taking({**QUICK, SLOW: 60}), config=LAST)
    assert (took, trace.answer) == (2 + 4 + 1, "spare")
    assert trace.notes == ("sent a second request after 4.0 s; the second one answered first", UNKNOWN)


async def test_the_spare_call_goes_to_the_next_route_if_there_is_one() -> None:
    _, trace = await asked(taking({**QUICK, SLOW: 60}), "p/m", "q/m", "r/m")
    assert [attempt.model for attempt in slow_one(trace).attempts] == ["p/m", "q/m"]


async def test_a_call_that_answers_before_its_spare_one_is_taken() -> None:
    took, trace = await asked(taking({**QUICK, SLOW: 5}, spare_s=60))
    assert (took, outcomes(trace)) == (5, ["first", "stopped"])
    assert trace.notes == ("sent a second request after 2.0 s; the first one answered first", UNKNOWN)


async def test_a_spare_call_that_fails_leaves_the_first_one_to_answer() -> None:
    took, trace = await asked(taking({**QUICK, SLOW: 60}, spare=AuthFailed("no")))
    assert (took, trace.status, outcomes(trace)[0]) == (60, "complete", "first")


async def test_how_late_is_late_depends_on_how_much_the_others_differ() -> None:
    _, trace = await asked(taking({"a": 1, "b": 3, "c": 4, SLOW: 4.2}))
    assert outcomes(trace) == ["first"]


async def test_fewer_than_two_answers_say_nothing_of_what_is_late() -> None:
    took, trace = await asked(taking({"a": 2, "b": 50, "c": 50, SLOW: 50}))
    assert (took, outcomes(trace)) == (50, ["first"])


async def test_no_spare_call_is_made_where_the_configuration_forbids_it() -> None:
    took, trace = await asked(taking({**QUICK, SLOW: 60}), config=PLAIN)
    assert (took, outcomes(trace)) == (60, ["first"])


async def test_a_call_without_siblings_has_none_to_be_measured_by() -> None:
    alone = config_of('{ step = "propose", agents = ["x"], hedge = true }')
    took, trace = await asked(taking({SLOW: 60}), config=alone)
    assert (took, outcomes(trace)) == (60, ["first"])


async def test_a_call_that_fails_before_it_is_late_is_not_asked_again() -> None:
    model = ScriptedModel({"x": AuthFailed("bad key")})
    _, trace = await asked(model)
    assert [attempt.failure and attempt.failure.kind for attempt in slow_one(trace).attempts] == ["AuthFailed"]
    assert "x: bad key" in trace.degradations[0]


async def test_the_configuration_can_hedge_all_steps() -> None:
    config = config_of(
        '{ step = "propose", agents = ["a", "b", "c", "x"] }', AGGREGATE, settings="defaults.hedge = true"
    )
    _, trace = await asked(taking({**QUICK, SLOW: 60}), config=config)
    assert outcomes(trace) == ["stopped", "spare"]


ALONE = '{ step = "aggregate", agent = "x", hedge = true }'


@pytest.mark.parametrize(
    ("steps", "seconds", "late_s"),
    [
        (['{ step = "propose", agents = ["a", "b", "c"] }'], QUICK, 4.0),
        (['{ step = "propose", agents = ["a", "b"] }'], QUICK, 4.0),
        (['{ step = "propose", agents = ["a"] }'], QUICK, 10.6),
        (['{ step = "propose", agents = ["a"] }', '{ step = "refine", agents = ["b"] }'], QUICK, 4.0),
    ],
    ids=["a panel", "two", "one", "one after the other"],
)
async def test_a_call_that_is_alone_goes_by_the_steps_before_whether_or_not_they_were_hedged(
    steps: list[str], seconds: Mapping[str, float], late_s: float
) -> None:
    took, trace = await asked(taking({**seconds, SLOW: 60}), config=config_of(*steps, ALONE))
    assert (took, trace.answer) == (2 * len(steps) + late_s + 1, "spare")
    assert f"sent a second request after {late_s} s; the second one answered first" in trace.notes


async def test_of_two_the_second_goes_by_the_first_and_by_the_steps_before() -> None:
    panel = config_of(
        '{ step = "propose", agents = ["b"] }', '{ step = "propose", agents = ["a", "x"], hedge = true }', AGGREGATE
    )
    _, trace = await asked(taking({**QUICK, SLOW: 60}), config=panel)
    (slow,) = [call for call in trace.steps[1].calls if call.agent == SLOW]
    assert slow.completion is not None
    assert slow.completion.notes == ("sent a second request after 4.0 s; the second one answered first",)


PARTS = '{ step = "propose", agents = ["a", "b", "c"] }'


class Timed(MemoryJournal):
    """Records that every call took two seconds: the clock that jumps is not the one that is recorded."""

    async def events(self, run_id: str, after: int = 0) -> Page:
        page = await super().events(run_id, after)
        events = tuple(replace(each, seconds=2.0) if isinstance(each, _ANSWERED) else each for each in page.events)
        return page._replace(events=events)


_ANSWERED = (AttemptFinished, CallFinished)


async def interrupted(runs: Runs, pipeline: Pipeline) -> str:
    """Return the id of a run that is left when nothing but its slow call is under way."""
    run = await start_run(runs, pipeline, Question("Why?"))
    while not run.trace.steps or all(call.agent != SLOW for call in run.trace.steps[-1].calls):
        await run.changed()
    await anyio.sleep(2.5)
    run.scope.cancel()
    await run.ended.wait()
    assert run.trace.interrupted
    return run.run_id


@pytest.mark.parametrize(
    "steps", [(PARTS, ALONE), ('{ step = "propose", agents = ["a", "b", "c", "x"], hedge = true }',)]
)
async def test_a_call_that_is_asked_again_after_a_resume_goes_by_what_is_on_record(steps: tuple[str, ...]) -> None:
    """Its step's siblings are answered from there, or the steps before are finished."""

    async def slow(call: Call) -> Scripted:
        await anyio.sleep(1 if call.spare else 60)
        return "spare"

    async def other(_: Call) -> Scripted:
        await anyio.sleep(2)
        return "other"

    model = ScriptedModel({SLOW: slow}, otherwise=other)
    config = config_of(*steps, *(() if len(steps) == 2 else (AGGREGATE,)))
    async with Runs(config, Backend(model, lambda _: at("p/m")), Timed()).open() as runs:
        run_id = await interrupted(runs, config.pipelines["p"])
        began = anyio.current_time()
        run = await resume_run(runs, run_id)
        await run.ended.wait()
        (call,) = [call for step in run.trace.steps for call in step.calls if call.agent == SLOW]
        assert call.completion is not None
        late_s = 4.0 if len(steps) == 2 else 2.0
        assert call.completion.notes == (f"sent a second request after {late_s} s; the second one answered first",)
        others_s = 0 if len(steps) == 2 else 2
        assert anyio.current_time() - began == pytest.approx(late_s + 1 + others_s, abs=0.1)


async def test_a_call_of_a_fork_goes_by_the_steps_that_it_took_over() -> None:
    model = taking({**QUICK, SLOW: 60})
    plain = config_of(PARTS, '{ step = "aggregate", agent = "z" }')
    async with Runs(plain, Backend(model, lambda _: at("p/m")), Timed()).open() as runs:
        first = await start_run(runs, plain.pipelines["p"], Question("Why?"))
        await first.ended.wait()
        hedged = config_of(PARTS, ALONE).pipelines["p"]
        fork = await fork_run(runs, first.run_id, 2, hedged)
        await fork.ended.wait()
    assert "sent a second request after 4.0 s; the second one answered first" in fork.trace.notes


# By default

DEFAULT = config_of('{ step = "propose", agents = ["a", "b", "c", "x"] }', AGGREGATE, settings=ALL)


async def test_by_default_a_call_is_late_after_half_as_long_again_as_the_others() -> None:
    took, trace = await asked(taking({**QUICK, SLOW: 60}), config=DEFAULT)
    assert (took, trace.status, outcomes(trace)) == (4, "complete", ["stopped", "spare"])
    assert "sent a second request after 3.0 s; the second one answered first" in trace.notes


async def test_by_default_no_second_request_is_sent_within_three_quarters_of_a_second() -> None:
    took, _ = await asked(taking({"a": 0.1, "b": 0.1, "c": 0.1, SLOW: 60}, spare_s=0.15), config=DEFAULT)
    assert took == 0.9


def served_at(*targets: Target) -> Usable:
    async def usable(_: str) -> tuple[Target, ...]:
        await anyio.lowlevel.checkpoint()
        return targets

    return usable


NEAR = "http://127.0.0.1:8080/v1"


@pytest.mark.parametrize(
    ("targets", "sent"),
    [
        ([Target("openai/m", "openai", NEAR, "none", wire_model="m")], False),
        ([Target("openai/m", "openai", "http://10.0.0.7:8000/v1", "none", wire_model="m")], False),
        ([Target("openai/m", "openai", "http://box.local:8000/v1", "none", wire_model="m")], False),
        ([Target("openai/m", "ollama", "http://gpu.example.com/v1", "none", wire_model="m")], False),
        ([Target("command/m", "command", program=Program(("/bin/m",)))], False),
        ([Target("simulated/m", "simulated")], False),
        ([Target("openai/m", "openai", NEAR, "sk-gateway", wire_model="m")], True),
        ([Target("openai/m", "openai", "http://models.example.com/v1", "none", wire_model="m")], True),
        ([Target("openai/m", "openai", NEAR, "none", wire_model="m"), Target("p/m", "p")], True),
        ([Target("p/m", "p"), Target("openai/m", "openai", NEAR, "none", wire_model="m")], True),
    ],
    ids=[
        "on this machine",
        "in its network",
        "by its name in the network",
        "by its provider",
        "a program",
        "simulated",
        "a gateway with a key",
        "elsewhere without a key",
        "with another route",
        "as another route",
    ],
)
async def test_by_default_no_second_request_slows_down_a_local_server(targets: list[Target], sent: bool) -> None:
    async with Runs(DEFAULT, Backend(taking({**QUICK, SLOW: 60}), lambda _: served_at(*targets))).open() as runs:
        run = await start_run(runs, DEFAULT.pipelines["p"], Question("Why?"))
        await run.ended.wait()
    assert outcomes(run.trace) == (["stopped", "spare"] if sent else ["first"])


async def test_by_default_models_that_reason_are_compared_with_each_other_only() -> None:
    slow = '{ model = "x", reasoning_effort = "high" }'
    panel = f'{{ step = "propose", agents = ["a", "b", "c", {slow}] }}'
    took, trace = await asked(taking({**QUICK, SLOW: 60}), config=config_of(panel, AGGREGATE, settings=ALL))
    assert (took, outcomes(trace)) == (60, ["first"])


@pytest.mark.parametrize(("hedge", "seconds"), [('"auto"', 5), ("true", 6)])
async def test_by_default_second_requests_stay_within_a_share_of_the_cost(hedge: str, seconds: int) -> None:
    """Six of twelve calls are late, each with about a twenty-fourth of the expected cost."""
    agents = '{ model = "x", samples = 6, temperature = 0.5 }, { model = "a", samples = 6 }'
    panel = f'{{ step = "propose", agents = [{agents}], hedge = {hedge} }}'
    config = config_of(panel, AGGREGATE, settings=ALL)

    async def slow(call: Call) -> Scripted:
        await anyio.sleep(1 if call.spare else 60)
        return "x"

    async def quick(_: Call) -> Scripted:
        await anyio.sleep(2)
        return "a"

    model = ScriptedModel({"x": slow}, otherwise=quick)
    await asked(model, config=config)
    assert len([call for call in model.calls if call.spare]) == seconds


async def test_by_default_one_second_request_is_left_for_the_last_layer() -> None:
    async def slow(call: Call) -> Scripted:
        late = call.agent == SLOW or call.place.step == 2
        await anyio.sleep(60 if late and not call.spare else 2)
        return "x"

    model = ScriptedModel(otherwise=slow)
    config = config_of('{ step = "propose", agents = ["a", "b", "c", "x"] }', AGGREGATE, settings=ALL)
    _, trace = await asked(model, config=config)
    assert [call.place.step for call in model.calls if call.spare] == [1, 2]
    assert trace.status == "complete"
