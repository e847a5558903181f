from __future__ import annotations

import pytest

from moa_mcp.planning.plan import Lint, StepPlan, blocking, plan, reach
from moa_mcp.routing.routes import Route, Routes
from moa_mcp.testing import pipeline
from tests.support.tables import AGGREGATE, PROPOSE, steps

RANK = '{ step = "rank", agent = "judge" }'


def described(*tables: str) -> str:
    return f'description = "d"\n{steps(*tables)}'


def test_a_plan_tells_calls_models_and_answers_of_every_step() -> None:
    tables = [
        PROPOSE,
        '{ step = "shuffle" }',
        '{ step = "refine", agents = ["x", "y"] }',
        '{ step = "rank", agent = "judge", n = 2, passes = 3 }',
        '{ step = "synthesize", agents = [{ model = "s", samples = 2 }] }',
        '{ step = "vote", method = "majority" }',
    ]
    found = plan(pipeline(described(*tables)))
    assert found.steps == (
        StepPlan("propose", ("a", "b", "c"), 3),
        StepPlan("shuffle", (), 3),
        StepPlan("refine", ("x", "y", "x"), 3),
        StepPlan("rank", ("judge", "judge", "judge"), 2),
        StepPlan("synthesize", ("s", "s"), 2),
        StepPlan("vote", (), 1),
    )
    assert [step.calls for step in found.steps] == [3, 0, 3, 3, 2, 0]
    assert (found.pipeline, found.calls, found.layers, found.lint) == ("test", 11, 4, ())


def test_what_is_kept_stands_beside_the_new_answers() -> None:
    again = '{ step = "propose", agents = ["a"], keep = 3 }'
    found = plan(pipeline(described(PROPOSE, AGGREGATE, again, AGGREGATE)))
    assert [step.answers for step in found.steps] == [3, 1, 4, 1]


AT_ZERO = '{ step = "%s", agents = [{ model = "a", samples = 3 }, "b"], temp = 0 }'


@pytest.mark.parametrize(
    ("tables", "step", "message"),
    [
        ([PROPOSE, PROPOSE], 1, "discards the 3 answers before it, which cost money; keep = 1 keeps the first one"),
        (
            [PROPOSE, '{ step = "propose", agents = ["a"], keep = 1 }'],
            1,
            'keep repeats the first of 3 answers and discards the others; aggregate them first, or set keep = "all"',
        ),
        ([AT_ZERO % "propose"], 0, "3 samples of a at temperature 0 will be 3 identical answers"),
        ([PROPOSE, AT_ZERO % "synthesize"], 1, "3 samples of a at temperature 0 will be 3 identical answers"),
        (
            [PROPOSE, '{ step = "refine", agents = ["v", "w", "x", "y", "z"] }'],
            1,
            "5 agents for 3 answers: 2 of them will never be called",
        ),
        ([PROPOSE, RANK], 1, "n = 3 keeps all 3 answers"),
        ([PROPOSE, '{ step = "take", n = 4 }'], 1, "n = 4 keeps all 3 answers"),
        ([PROPOSE, '{ step = "sample", n = 3 }'], 1, "n = 3 keeps all 3 answers"),
        ([PROPOSE, AGGREGATE, RANK], 2, "rank has only one answer to choose from"),
        ([PROPOSE, AGGREGATE, '{ step = "vote", agent = "judge" }'], 2, "vote has only one answer to choose from"),
    ],
)
def test_what_looks_like_a_mistake_is_told_with_its_place(tables: list[str], step: int, message: str) -> None:
    assert plan(pipeline(described(*tables, AGGREGATE))).lint == (Lint(f"pipelines.test, step {step + 1}", message),)


@pytest.mark.parametrize(
    "tables",
    [
        [PROPOSE],
        ['{ step = "propose", agents = ["a", "b"], temp = 0 }'],
        [PROPOSE, '{ step = "rank", agent = "judge", n = 2, passes = 3, temp = 0 }'],
        [PROPOSE, '{ step = "refine", agents = ["x"], temp = 0 }'],
        [PROPOSE, '{ step = "take", n = 2 }', '{ step = "vote", agent = "judge" }'],
    ],
)
def test_what_makes_sense_is_no_mistake(tables: list[str]) -> None:
    assert plan(pipeline(described(*tables, AGGREGATE))).lint == ()


def test_a_pipeline_without_description_is_told() -> None:
    (lint,) = plan(pipeline(steps(PROPOSE, AGGREGATE))).lint
    assert str(lint) == "pipelines.test: has no description; an agent can't tell when to choose it"


@pytest.mark.parametrize(
    ("tables", "unreachable", "blocked"),
    [
        ([PROPOSE, AGGREGATE], {"a", "b"}, ()),
        ([PROPOSE, AGGREGATE], {"a", "b", "c"}, ("a", "b", "c")),
        ([PROPOSE, AGGREGATE], {"z", "unused"}, ("z",)),
        (['{ step = "propose", agents = ["a", "b", "c"], quorum = 2 }', AGGREGATE], {"a", "b"}, ("a", "b")),
        ([PROPOSE, '{ step = "vote", method = "majority" }'], {"judge"}, ()),
        ([PROPOSE, RANK, AGGREGATE], {"judge", "z"}, ("judge", "z")),
    ],
)
def test_models_block_a_pipeline_if_some_step_cant_meet_its_quorum_without_them(
    tables: list[str], unreachable: set[str], blocked: tuple[str, ...]
) -> None:
    assert blocking(pipeline(steps(*tables)), unreachable) == blocked


@pytest.mark.anyio
async def test_a_model_is_reached_over_the_first_route_that_is_there() -> None:
    models = {
        "a": (Route(model="anthropic/a"), Route(model="openai/a")),
        "b": (Route(model="anthropic/b"),),
        "c": (Route(model="openai/c"),),
    }
    reached = await reach(pipeline(steps(PROPOSE, '{ step = "take", n = 1 }')), Routes(models, {"OPENAI_API_KEY": "k"}))
    assert [(each.alias, each.route and str(each.route.route), each.missing) for each in reached] == [
        ("a", "openai/a", ""),
        ("b", None, "set ANTHROPIC_API_KEY"),
        ("c", "openai/c", ""),
    ]
