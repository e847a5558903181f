"""What is left to chance repeats with the same seed and does not depend on when answers come."""

from __future__ import annotations

from collections import Counter

import pytest

from moa_mcp.testing import ScriptedModel, run_pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call
from tests.support.tables import AGGREGATE, asked, steps

pytestmark = pytest.mark.anyio

PANEL = '{ step = "propose", agents = [{ model = "a", samples = 6 }] }'
SHUFFLE, DROPOUT, SAMPLE = '{ step = "shuffle" }', '{ step = "dropout", rate = 0.5 }', '{ step = "sample", n = 3 }'
PASSES = '{ step = "rank", agent = "judge", n = 3, passes = 3 }'


def replies() -> ScriptedModel:
    return ScriptedModel({"judge": '{"ranking": [6, 5, 4, 3, 2, 1]}'})


async def handed_on(step: str, seed: int) -> tuple[str, ...]:
    """Return the answers that a step made of six."""
    trace = await run_pipeline(steps(PANEL, step, AGGREGATE), "Why?", replies(), seed=seed)
    return tuple(answer.text for answer in trace.steps[1].answers)


SIX = tuple(f"a at 1.{number}" for number in range(1, 7))


@pytest.mark.parametrize("step", [SHUFFLE, DROPOUT, SAMPLE, PASSES])
async def test_the_same_seed_repeats_a_step_and_others_differ(step: str) -> None:
    outcomes = [await handed_on(step, seed) for seed in range(10)]
    assert outcomes == [await handed_on(step, seed) for seed in range(10)]
    assert len(set(outcomes)) > 1


async def test_chance_does_not_depend_on_which_answer_came_first() -> None:
    async def run(agent: str) -> Trace:
        layers = steps(PANEL, SHUFFLE, DROPOUT, SAMPLE, PASSES, AGGREGATE)
        slow = ScriptedModel({"judge": lambda call: f'{{"ranking": {_all(call)}}}'}, otherwise=agent)
        return await run_pipeline(layers, "Why?", slow, seed=3)

    def notes(trace: Trace) -> list[tuple[str, ...]]:
        return [tuple(note.text for note in step.notes) for step in trace.steps]

    assert notes(await run("one")) == notes(await run("another"))


def _all(call: Call) -> list[int]:
    total = int(call.messages[0].content.split("answer 1 of ")[1].split(" ")[0])
    return list(range(1, total + 1))


async def test_two_steps_of_one_kind_draw_anew() -> None:
    orders: list[tuple[int, ...]] = []
    for seed in range(5):
        trace = await run_pipeline(steps(PANEL, SHUFFLE, SHUFFLE, AGGREGATE), "Why?", replies(), seed=seed)
        orders += [
            tuple(map(int, step.notes[0].text.removeprefix("new order: ").split(", "))) for step in trace.steps[1:3]
        ]
    assert any(first != second for first, second in zip(orders[::2], orders[1::2], strict=True))


async def test_a_shuffle_loses_nothing_and_tells_the_new_order() -> None:
    trace = await run_pipeline(steps(PANEL, SHUFFLE, AGGREGATE), "Why?", replies(), seed=1)
    order = [answer.place.number for answer in trace.steps[1].answers]
    assert sorted(order) == [1, 2, 3, 4, 5, 6]
    assert trace.notes == (f"shuffle: new order: {', '.join(map(str, order))}",)


async def test_a_sample_keeps_so_many_in_their_order_and_tells_the_others() -> None:
    trace = await run_pipeline(steps(PANEL, SAMPLE, AGGREGATE), "Why?", replies(), seed=1)
    kept = [answer.place.number for answer in trace.steps[1].answers]
    assert len(kept) == 3
    assert kept == sorted(kept)
    assert trace.notes == (f"sample: removed: {', '.join(str(n) for n in range(1, 7) if n not in kept)}",)


async def test_a_sample_of_more_than_there_are_is_all_of_them() -> None:
    assert await handed_on('{ step = "sample", n = 9 }', seed=1) == SIX


async def test_dropout_keeps_the_order_leaves_out_about_its_rate_and_always_keeps_one() -> None:
    outcomes = [await handed_on('{ step = "dropout", rate = 0.9 }', seed) for seed in range(60)]
    assert all(outcome and list(outcome) == sorted(outcome) for outcome in outcomes)
    sizes = Counter(map(len, outcomes))
    # 0.9 ** 6 = 53 % would keep none
    assert sizes[1] > 30
    assert len({outcome[0] for outcome in outcomes if len(outcome) == 1}) > 1


async def test_dropout_of_rate_zero_keeps_all_and_says_nothing() -> None:
    model = replies()
    trace = await run_pipeline(steps(PANEL, '{ step = "dropout", rate = 0 }', AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", SIX)]
    assert trace.notes == ()
