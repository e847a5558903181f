"""What advice suggests for pipelines.toml: every text is a valid configuration beside the one that it changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from moa_mcp.config import Config, Pipeline, load, parse, shipped
from moa_mcp.evaluation.advice.panel import Panel, panels
from moa_mcp.evaluation.advice.snippets import Snippets, extractor
from tests.support.planted import World, evaluation

TEXT = shipped().read_text("utf-8")
CONFIG = load(shipped())
NANO, SONNET = "gpt-5-nano-2025-08-07", "claude-sonnet-4-5"


def panel(name: str, scoring: str = "number", config: Config = CONFIG) -> Panel:
    """Return a pipeline of a configuration with as many samples as its first step has answers."""
    answers = config.pipelines[name].steps[0].answers_out(0) if name in config.pipelines else 1
    members = dict.fromkeys([NANO, SONNET, *"cdef"][:answers], 0.5)
    whole = evaluation(World(skills=members), 10, name=name)
    settings = whole.settings.model_copy(update={"scoring": scoring})
    (found,) = panels([whole.model_copy(update={"settings": settings})])
    return found


def added(text: str | None, before: str = TEXT) -> Pipeline:
    """Return the pipeline that a text adds to a configuration."""
    assert text is not None
    (name,) = set(parse(before + text).pipelines) - set(parse(before).pipelines)
    return parse(before + text).pipelines[name]


@pytest.mark.parametrize("name", CONFIG.pipelines)
def test_a_cascade_keeps_every_step_and_setting_of_a_shipped_pipeline(name: str) -> None:
    steps = added(Snippets(CONFIG, TEXT).cascade(panel(name), 2 / 3)).steps
    assert steps[1].model_dump()["share"] == 0.6666
    assert (steps[0], *steps[2:]) == CONFIG.pipelines[name].steps


@pytest.mark.parametrize("name", CONFIG.pipelines)
def test_a_vote_follows_the_first_step_of_a_shipped_pipeline(name: str) -> None:
    first, vote = added(Snippets(CONFIG, TEXT).vote(panel(name))).steps
    assert first == CONFIG.pipelines[name].steps[0]
    assert (vote.step, vote.model_dump()["extract"]) == ("vote", "last_number")


def test_one_model_is_asked_once_or_several_times_with_the_settings_of_the_first_step() -> None:
    snippets = Snippets(CONFIG, TEXT)
    (once,) = added(snippets.single(panel("vote"), SONNET)).steps
    assert (once.models, once.model_dump()["temperature"]) == ((SONNET,), 0.3)
    several, _ = added(snippets.sampled(panel("vote"), SONNET, 3)).steps
    assert several.models == (SONNET,) * 3


def test_a_member_is_left_out_or_replaced_where_the_first_step_names_it() -> None:
    snippets = Snippets(CONFIG, TEXT)
    assert added(snippets.without("vote", NANO)).steps[0].models == (SONNET, "llama-3.3-70b")
    assert added(snippets.replaced(panel("self_moa"), NANO, SONNET)).steps[0].models == (SONNET,) * 6
    assert snippets.without("council", SONNET) is None
    assert snippets.without("self_moa", NANO) is None
    assert snippets.without("unknown", NANO) is None


def test_passes_are_those_of_a_step_that_has_them() -> None:
    snippets = Snippets(CONFIG, TEXT)
    assert added(snippets.passes("vote", "vote")).steps[1].model_dump()["passes"] == 3
    assert added(snippets.passes("rank_aggregate", "rank")).steps[1].model_dump()["passes"] == 3
    assert snippets.passes("council", "review") is None


def test_without_a_configuration_or_a_way_to_count_nothing_is_suggested() -> None:
    assert Snippets().vote(panel("vote")) is None
    snippets = Snippets(CONFIG, TEXT)
    judged = panel("vote", "judge")
    assert [snippets.vote(judged), snippets.cascade(judged, 1.0), snippets.sampled(judged, NANO, 3)] == [None] * 3
    assert snippets.single(panel("vote"), "no-such-model") is None


def test_a_vote_on_a_part_of_the_answers_is_not_suggested_for_all() -> None:
    snippets, part = Snippets(CONFIG, TEXT), panel("self_moa")
    fewer = tuple(each.model_copy(update={"samples": each.samples[1:]}) for each in part.outcomes)
    asked = tuple(replace(each, outcomes={"self_moa": one}) for each, one in zip(part.asked, fewer, strict=True))
    left = replace(part, asked=asked)
    assert [snippets.vote(left), snippets.cascade(left, 1.0)] == [None, None]


def test_a_name_that_is_taken_is_not_used_again() -> None:
    once = TEXT + str(Snippets(CONFIG, TEXT).vote(panel("vote")))
    assert added(Snippets(parse(once), once).vote(panel("vote")), once).name == "vote_majority_2"


AWKWARD = """
[defaults]
temperature = 0.2

[models.m]
routes = ["openai/m"]

[pipelines.awkward]
title = 'A "quoted" title \\ with a backslash'
max_cost_usd = 0.25
answer_schema = { type = "object", "required keys" = ["a"], properties = { a = { type = "boolean", default = true } } }
steps = [
    { step = "propose", temperature = 0.9, prompt = "A tab\\t, a newline\\n, a DEL\\u007f, a \\u2603", agents = [
        { model = "m", samples = 2, system = "Be brief." },
        { panel = "fast", members = 2, temperature = 0.1 },
        "m",
    ] },
    { step = "rank", agent = { panel = "fast" }, n = 1 },
]
"""


def test_texts_tables_and_numbers_of_a_pipeline_survive() -> None:
    config: Config = parse(AWKWARD)
    before = config.pipelines["awkward"]
    after = added(Snippets(config, AWKWARD).cascade(panel("awkward", config=config), 1.0), AWKWARD)
    assert (after.steps[0], after.steps[2]) == before.steps
    assert (after.max_cost_usd, after.answer_schema) == (before.max_cost_usd, before.answer_schema)
    assert after.title == f"{before.title} (cascade)"


@pytest.mark.parametrize(
    ("scoring", "extract"),
    [
        ("number", "last_number"),
        ("choice", "choice"),
        ("text", "text"),
        ('{json = "answer"}', {"json": "answer"}),
        ("{regex = '(?i)answer: (.*)'}", {"regex": "(?i)answer: (.*)"}),
        ("judge", None),
        ("1", None),
    ],
)
def test_a_vote_counts_what_a_scoring_compares(scoring: str, extract: object) -> None:
    assert extractor(scoring) == extract


@pytest.mark.parametrize(
    ("change", "extract"),
    [
        ({}, "last_number"),
        ({"answer": "1,234.5"}, "last_number"),
        ({"answer": "Paris"}, None),
        ({"answer": "nan"}, None),
        ({"answer": "A", "choices": ("4", "5")}, "choice"),
    ],
)
def test_with_automatic_scoring_the_right_answers_say_what_to_count(
    change: dict[str, object], extract: str | None
) -> None:
    auto = panel("vote", "auto")
    asked = tuple(replace(each, question=each.question.model_copy(update=change)) for each in auto.asked)
    text = Snippets(CONFIG, TEXT).vote(replace(auto, asked=asked))
    assert (None if text is None else added(text).steps[1].model_dump()["extract"]) == extract


def test_the_shipped_configuration_is_what_the_tests_read() -> None:
    assert Path(CONFIG.source).read_text("utf-8") == TEXT
