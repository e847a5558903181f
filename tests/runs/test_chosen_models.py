"""The pipeline of a run whose caller chose the models: what changes, what stays, and what is refused."""

from __future__ import annotations

import pytest

from moa_mcp.config import Config, parse
from moa_mcp.errors import ChangeRefused
from moa_mcp.runs import chosen
from moa_mcp.steps.layer import Agent

ALIASES = "".join(f'models.{name}.routes = ["openai/{name}"]\n' for name in ("a", "b", "c", "fast"))
PROPOSE = '{ step = "propose", agents = ["a", "a", "a"] }'
AGGREGATE = '{ step = "aggregate", agent = "a" }'


def config_of(*steps: str) -> Config:
    return parse(f"{ALIASES}[pipelines.p]\nsteps = [{', '.join(steps)}]")


def changed(*steps: str, models: str = "", aggregator: str = "") -> tuple[dict[str, object], ...]:
    """Return the tables of the steps with these models."""
    config = config_of(*steps)
    after = chosen(config.pipelines["p"], models, aggregator, config)
    return tuple(step.model_dump() for step in after.steps)


def called(*steps: str, models: str = "", aggregator: str = "") -> list[tuple[str, ...]]:
    config = config_of(*steps)
    return [step.models for step in chosen(config.pipelines["p"], models, aggregator, config).steps]


def refusal(*steps: str, models: str = "", aggregator: str = "") -> tuple[str, str]:
    config = config_of(*steps)
    with pytest.raises(ChangeRefused) as caught:
        chosen(config.pipelines["p"], models, aggregator, config)
    return str(caught.value), caught.value.remedy


def test_nothing_chosen_changes_nothing() -> None:
    config = config_of(PROPOSE, AGGREGATE)
    assert chosen(config.pipelines["p"], " , ", " ", config) == config.pipelines["p"]


def test_the_settings_of_a_step_stay_and_those_of_its_agents_are_lost() -> None:
    agents = '[{ model = "a", system = "Doubt all.", samples = 2, temperature = 0 }, "b"]'
    propose = f'{{ step = "propose", agents = {agents}, temperature = 0.3, max_tokens = 99, grace_s = 5 }}'
    before, after = changed(propose, AGGREGATE)[0], changed(propose, AGGREGATE, models="c,c")[0]
    agent = Agent(model="c").model_dump()
    assert after == {**before, "agents": (agent, agent)}


@pytest.mark.parametrize(("models", "quorum"), [("b", 1), ("b,c", 2), ("a,b,c", 3), ("a,b,c,a,b", 3)])
def test_a_quorum_is_lowered_to_what_the_models_can_reach(models: str, quorum: int) -> None:
    propose, _ = changed('{ step = "propose", agents = ["a", "b", "c"], quorum = 3 }', AGGREGATE, models=models)
    assert propose["quorum"] == quorum


@pytest.mark.parametrize(("models", "ahead_by"), [("b", 1), ("b,c", 2), ("balanced:6", 3)])
def test_an_early_stop_needs_no_more_votes_than_there_are_models(models: str, ahead_by: int) -> None:
    agents = '[{ model = "a", samples = 6 }]'
    propose, _ = changed(
        f'{{ step = "propose", agents = {agents}, stop = {{ ahead_by = 3 }} }}', AGGREGATE, models=models
    )
    assert propose["stop"] == {"ahead_by": ahead_by, "posterior": None, "extract": "text", "decimal": None}


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ("fast", ("fast",)),
        ("fast:2", ("panel:fast:1", "panel:fast:2")),
        ("strong", ("panel:strong:1", "panel:strong:2", "panel:strong:3")),
        ("strong, b, strong:2", ("panel:strong:1", "b", "panel:strong:2", "panel:strong:3")),
    ],
)
def test_an_alias_precedes_a_panel_of_its_name_and_only_a_single_panel_keeps_the_number_of_calls(
    models: str, expected: tuple[str, ...]
) -> None:
    assert called(PROPOSE, AGGREGATE, models=models)[0] == expected


def test_a_panel_replaces_any_number_of_calls_that_the_configuration_has() -> None:
    propose = '{ step = "propose", agents = [{ model = "a", samples = 30 }] }'
    assert len(called(propose, AGGREGATE, models="strong")[0]) == 30


@pytest.mark.parametrize("models", ["strong:20,b", ",".join(["b"] * 21), ",".join(["balanced:20"] * 30)])
def test_a_caller_can_not_multiply_the_calls_of_a_step(models: str) -> None:
    fault, remedy = refusal(PROPOSE, AGGREGATE, models=models)
    assert fault.startswith("models: step 1 would make ")
    assert remedy == "Name at most 20 models."


def test_agents_that_criticise_their_own_answers_follow_those_who_propose() -> None:
    own = '{ step = "critique", agents = ["a"], own = true }'
    all_answers = '{ step = "critique", agents = ["a"] }'
    assert called(PROPOSE, own, all_answers, AGGREGATE, models="b,c,b") == [("b", "c", "b"), ("b", "c"), ("a",), ("a",)]


def test_reviewers_follow_those_who_propose_and_analysts_do_not() -> None:
    review = '{ step = "review", agents = ["a", "b"], quorum = 2 }'
    analyze = '{ step = "analyze", agent = "a" }'
    steps = (PROPOSE, review, analyze, AGGREGATE)
    assert called(*steps, models="b,c,b") == [("b", "c", "b"), ("b", "c"), ("a",), ("a",)]
    assert called(*steps, aggregator="c") == [("a",) * 3, ("a", "b"), ("a",), ("c",)]
    assert changed(*steps, models="c")[1]["quorum"] == 1


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ('{ step = "rank", agent = "a", n = 1 }', ("b",)),
        ('{ step = "vote", agent = "a", passes = 2 }', ("b", "b")),
        ('{ step = "aggregate", agent = "a" }, { step = "take", n = 1 }', ("b",)),
        ('{ step = "rank", agent = "a", n = 2 }, { step = "vote", method = "majority" }', ("b",)),
    ],
)
def test_the_aggregator_is_the_agent_of_the_last_step_that_calls_models(last: str, expected: tuple[str, ...]) -> None:
    assert called(PROPOSE, AGGREGATE, PROPOSE, last, aggregator="b")[:4] == [("a",) * 3, ("a",), ("a",) * 3, expected]


@pytest.mark.parametrize("last", ['"aggregate", ', '"vote", '])
@pytest.mark.parametrize(
    ("fallback", "aggregator", "stays"),
    [('"c"', "b", "c"), ('"b"', "b", None), ('{ panel = "strong" }', "strong", "panel:strong:1")],
)
def test_the_fallback_of_the_aggregator_stays_unless_it_is_the_same_model(
    last: str, fallback: str, aggregator: str, stays: str | None
) -> None:
    config = config_of(PROPOSE, f'{{ step = {last}agent = "a", fallback_agent = {fallback} }}')
    assert chosen(config.pipelines["p"], "", aggregator, config).steps[-1].fallback == stays


@pytest.mark.parametrize(
    ("steps", "arguments", "fault"),
    [
        (
            [PROPOSE, '{ step = "vote", method = "majority" }'],
            {"aggregator": "b"},
            "no model of p merges or judges the answers; the last step that calls models is step 1, propose",
        ),
        ([PROPOSE, AGGREGATE], {"aggregator": "balanced:2"}, "aggregator: balanced:2 has 2 members"),
        ([PROPOSE, AGGREGATE], {"aggregator": "b, c"}, "aggregator: 'b, c' is not a model or panel"),
        ([PROPOSE, AGGREGATE], {"models": "command/claude"}, "models: 'command/claude' is not a model or panel"),
        ([PROPOSE, AGGREGATE], {"models": "panel:fast:1"}, "models: 'panel:fast:1' is not a model or panel"),
        ([PROPOSE, AGGREGATE], {"models": "strong:0"}, "models: strong:0 has no valid number of members"),
        ([PROPOSE, AGGREGATE], {"models": "balancd"}, "did you mean 'balanced'?"),
        (['{ step = "propose", agents = ["a"] }'], {"models": "a,b"}, "models: p would return 2 answers"),
    ],
)
def test_what_can_not_be_chosen_is_refused_in_terms_of_the_argument(
    steps: list[str], arguments: dict[str, str], fault: str
) -> None:
    assert fault in refusal(*steps, **arguments)[0]


def test_a_direct_route_can_be_chosen_if_a_pipeline_has_it() -> None:
    propose = '{ step = "propose", agents = ["openai/gpt-5-nano", "a"] }'
    assert called(propose, AGGREGATE, models="openai/gpt-5-nano")[0] == ("openai/gpt-5-nano",)


def test_a_long_list_of_names_is_cut_and_says_how_to_see_all() -> None:
    aliases = "".join(f'models.m{number}.routes = ["openai/m"]\n' for number in range(1, 31))
    config = parse(f'{aliases}[pipelines.p]\nsteps = [{{ step = "propose", agents = ["m1"] }}]')
    with pytest.raises(ChangeRefused) as caught:
        chosen(config.pipelines["p"], "nobody", "", config)
    names = "fast, balanced, strong, reasoning, m1, m2, m3, m4, m5, m6, m7, m8"
    assert caught.value.remedy == f"Choose from {names} and 22 more, which moa-mcp check lists."
