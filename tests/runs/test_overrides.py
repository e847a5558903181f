"""Overrides of a fork: what contradicts itself is refused, with the override and a remedy."""

from __future__ import annotations

import pytest

from moa_mcp.config import parse
from moa_mcp.errors import ChangeRefused
from moa_mcp.runs import changed, other_models
from moa_mcp.trace.trace import StepTrace, Trace

CONFIG = parse("""
models.a.routes = ["openai/a"]
[pipelines.p]
steps = [
    { step = "propose", agents = [{ model = "a", samples = 3 }] },
    { step = "rank", agent = "a", n = 1 },
]
""")
PIPELINE = CONFIG.pipelines["p"]


@pytest.mark.parametrize(
    ("settings", "fault", "remedy"),
    [
        (["2.n=2"], "2.n=2: the last step would return 2 answers", "set n=1, or name one agent"),
        (
            ["1.max_tokens=2000", "1.thinking_tokens=2000"],
            "1.thinking_tokens: ",
            "Override max_tokens as well.",
        ),
        (["1.agents=b"], "'b' is not a model in the configuration", "Run moa-mcp check to list the models"),
    ],
)
def test_an_override_that_can_not_work_is_refused(settings: list[str], fault: str, remedy: str) -> None:
    with pytest.raises(ChangeRefused) as caught:
        changed(PIPELINE, 1, settings, CONFIG)
    assert fault in str(caught.value)
    assert remedy in caught.value.remedy


def test_a_panel_can_replace_the_models_of_a_step() -> None:
    after = changed(PIPELINE, 1, ['1.agents=[{ panel = "fast", members = 2 }]'], CONFIG)
    assert after.steps[0].models == ("panel:fast:1", "panel:fast:2")


def test_a_run_that_called_no_model_has_none_to_replace() -> None:
    assert other_models(Trace()) is None
    assert other_models(Trace(steps=[StepTrace(1, "shuffle")])) is None
