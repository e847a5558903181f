"""The pipelines that come with the package, step by step."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from moa_mcp.config import load, shipped
from moa_mcp.planning.plan import plan
from moa_mcp.steps import ModelStep, Step

SIX = (
    "wizardlm-2-8x22b",
    "qwen1.5-110b-chat",
    "qwen1.5-72b-chat",
    "llama-3-70b-instruct",
    "mixtral-8x22b-instruct",
    "dbrx-instruct",
)
NANO, SONNET, LLAMA, GEMINI = "gpt-5-nano-2025-08-07", "claude-sonnet-4-5", "llama-3.3-70b", "gemini-2.5-flash"
BALANCED = tuple(f"panel:balanced:{number}" for number in range(1, 5))


class Line(NamedTuple):
    """A step as the source page writes it."""

    step: str
    models: tuple[str, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    more: tuple[tuple[str, Any], ...] = ()


def layer(step: str, *models: str, temp: float = 0.7, tokens: int = 2048, **more: Any) -> Line:
    return Line(step, models, temp, tokens, tuple(more.items()))


WIDE = [layer("propose", *SIX, tokens=512), layer("synthesize", *SIX, tokens=512)]
SHIPPED = {
    "together_moa": (19, [*WIDE, WIDE[1], layer("aggregate", "qwen1.5-110b-chat")]),
    "moa_lite": (13, [*WIDE, layer("aggregate", "qwen1.5-72b-chat")]),
    "moa_gpt5": (19, [*WIDE, WIDE[1], layer("aggregate", NANO)]),
    "self_moa": (7, [layer("propose", *[NANO] * 6), layer("aggregate", NANO)]),
    "self_moa_seq": (
        8,
        [
            layer("propose", *[NANO] * 3),
            layer("aggregate", NANO),
            layer("propose", *[NANO] * 3, keep=3),
            layer("aggregate", NANO),
        ],
    ),
    "robust_moa": (
        5,
        [
            layer("propose", NANO, SONNET, LLAMA, GEMINI),
            Line("shuffle"),
            Line("dropout", more=(("rate", 0.2),)),
            layer("aggregate", NANO),
        ],
    ),
    "rank_aggregate": (
        7,
        [
            layer("propose", NANO, SONNET, LLAMA, GEMINI, NANO),
            layer("rank", NANO, n=3, passes=1),
            layer("aggregate", NANO),
        ],
    ),
    "vote": (4, [layer("propose", NANO, SONNET, LLAMA, temp=0.3), layer("vote", NANO, passes=1, method="judge")]),
    "refine": (
        7,
        [
            layer("propose", NANO, "claude-haiku-4", "llama-3.1-8b"),
            layer("refine", "gpt-5-nano"),
            layer("aggregate", NANO),
        ],
    ),
    "council": (
        9,
        [layer("propose", *BALANCED), layer("review", *BALANCED), layer("aggregate", "panel:strong:1")],
    ),
    "fusion": (
        6,
        [layer("propose", *BALANCED), layer("analyze", "panel:strong:1"), layer("aggregate", "panel:strong:1")],
    ),
    "cascade": (
        8,
        [
            layer("propose", "panel:fast:1", "panel:fast:2"),
            layer("agree", "panel:fast:1"),
            layer("propose", *(f"panel:balanced:{number}" for number in range(1, 5)), keep="all"),
            layer("aggregate", "panel:balanced:1"),
        ],
    ),
    "verdict": (
        5,
        [
            layer("propose", *(f"panel:balanced:{number}" for number in range(1, 6)), temp=0.3),
            layer("vote", passes=1, method="majority"),
        ],
    ),
    "together_moa_paper": (
        13,
        [layer("propose", *SIX), layer("synthesize", *SIX), layer("aggregate", "qwen1.5-110b-chat")],
    ),
    "moa_lite_paper": (7, [layer("propose", *SIX), layer("aggregate", "qwen1.5-72b-chat")]),
    "self_moa_seq_paper": (
        15,
        [
            layer("propose", *[NANO] * 6),
            layer("aggregate", NANO),
            *[layer("propose", *[NANO] * 3, keep=3), layer("aggregate", NANO)] * 2,
        ],
    ),
}
PIPELINES = load(shipped()).pipelines


def line_of(step: Step) -> Line:
    fields = ("keep", "n", "passes", "rate", "method")
    more = tuple((name, getattr(step, name)) for name in fields if getattr(step, name, 0))
    if not isinstance(step, ModelStep):
        return Line(step.step, more=more)
    return Line(step.step, step.models, step.temperature, step.max_tokens, more)


def test_there_are_those_of_the_source_page_of_the_papers_and_our_own() -> None:
    assert list(PIPELINES) == list(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pipeline_has_its_models_parameters_and_number_of_calls(name: str) -> None:
    calls, lines = SHIPPED[name]
    assert [line_of(step) for step in PIPELINES[name].steps] == lines
    assert plan(PIPELINES[name]).calls == calls


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pipeline_has_no_prompt_of_its_own_but_for_a_verdict_and_looks_like_no_mistake(name: str) -> None:
    pipeline = PIPELINES[name]
    prompts = [step.prompt for step in pipeline.steps if isinstance(step, ModelStep) and step.prompt]
    assert len(prompts) == (name == "verdict")
    assert plan(pipeline).lint == ()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_description_states_the_calls_and_layers_that_the_plan_finds(name: str) -> None:
    found = plan(PIPELINES[name])
    assert PIPELINES[name].description.endswith(f" {found.calls} calls.")
