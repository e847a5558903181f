"""How long the last calls of a step are awaited if nobody set a limit, with a clock that jumps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from moa_mcp.testing import Reply, ScriptedModel, by_place, run_pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call
from tests.support.clocks import jumping
from tests.support.tables import AGGREGATE, PROPOSE, steps

pytestmark = pytest.mark.anyio

SIX = '{ step = "propose", agents = ["a", "b", "c", "d", "e", "x"] }'
QUICK = dict.fromkeys("abcde", 2.0)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


async def timed(seconds: Mapping[str, float], *tables: str) -> tuple[float, Trace]:
    """Run a pipeline whose agents take so many seconds; return how long its first layers took, and its trace."""

    def slow(delay_s: float) -> Reply:
        async def reply(call: Call) -> str:
            await anyio.sleep(delay_s)
            return by_place(call)

        return reply

    began = anyio.current_time()
    model = ScriptedModel({agent: slow(delay_s) for agent, delay_s in seconds.items()})
    trace = await run_pipeline(steps(*tables), "Why?", model)
    return round(anyio.current_time() - began, 3), trace


async def test_a_call_that_takes_four_times_as_long_as_most_is_dropped_and_the_result_is_complete() -> None:
    took, trace = await timed({**QUICK, "x": 60}, SIX, AGGREGATE)
    assert (took, trace.status, trace.steps[0].answered) == (8, "complete", 5)
    assert trace.degradations == ()
    late = "x: dropped after 8.0 s: most calls had answered and the grace period of 6 s is over"
    assert trace.notes[0] == f"propose: 1 of 6 dropped ({late})"


async def test_a_call_that_takes_less_is_awaited() -> None:
    took, trace = await timed({**QUICK, "x": 7.9}, SIX, AGGREGATE)
    assert (took, trace.steps[0].answered) == (7.9, 6)


async def test_after_quick_answers_the_last_ones_have_a_second_and_a_half() -> None:
    took, _ = await timed({**dict.fromkeys("abcde", 0.1), "x": 60}, SIX, AGGREGATE)
    assert took == 1.6


async def test_a_third_of_the_calls_can_be_dropped_but_not_more() -> None:
    assert (await timed({**QUICK, "e": 60, "x": 70}, SIX, AGGREGATE))[0] == 8
    assert (await timed({**QUICK, "d": 50, "e": 60, "x": 70}, SIX, AGGREGATE))[0] == 70


@pytest.mark.parametrize(
    "panel",
    [
        PROPOSE.replace('"c"', '"x"'),
        SIX.replace(" }", ", grace_s = inf }"),
        SIX.replace(" }", ", quorum = 6 }"),
    ],
    ids=["three", "no limit", "all needed"],
)
async def test_all_calls_are_awaited_if_they_are_few_or_the_configuration_says_so(panel: str) -> None:
    took, trace = await timed({**QUICK, "x": 60}, panel, AGGREGATE)
    assert (took, trace.status) == (60, "complete")


async def test_by_default_no_refinement_is_dropped() -> None:
    refine = '{ step = "refine", agents = ["q", "r", "s", "t", "y"] }'
    took, trace = await timed({"y": 60}, SIX, refine, AGGREGATE)
    assert (took, trace.status) == (60, "complete")


REASONING = '{ model = "x", reasoning_effort = "high" }'


async def test_a_model_that_reasons_is_awaited_while_only_others_have_answered() -> None:
    took, trace = await timed({**QUICK, "x": 60}, SIX.replace('"x"', REASONING), AGGREGATE)
    assert (took, trace.steps[0].answered) == (60, 6)


async def test_models_that_reason_are_compared_with_each_other() -> None:
    panel = SIX.replace('"x"', REASONING).replace('"e"', '{ model = "e", thinking_tokens = 1024 }')
    took, trace = await timed({**QUICK, "e": 10, "x": 60}, panel, AGGREGATE)
    assert (took, trace.steps[0].answered) == (40, 5)


async def test_a_model_whose_reasoning_is_off_is_compared_with_all() -> None:
    panel = SIX.replace('"x"', REASONING.replace("high", "none"))
    took, trace = await timed({**QUICK, "x": 60}, panel, AGGREGATE)
    assert (took, trace.steps[0].answered) == (8, 5)
