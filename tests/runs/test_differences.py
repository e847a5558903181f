"""Which settings two stored runs do not share."""

from __future__ import annotations

import pytest

from moa_mcp.config import Config, parse
from moa_mcp.engine.execute import RunSpec
from moa_mcp.errors import JournalError
from moa_mcp.journal import RunRecord
from moa_mcp.runs import Difference, changed, differences
from moa_mcp.runs.record import StoredRun, record_of
from moa_mcp.values import Question

CONFIG = parse("""
models.a.routes = ["openai/a"]
models.b.routes = ["openai/b"]
[pipelines.p]
steps = [
    { step = "propose", agents = ["a", { model = "b", samples = 2 }] },
    { step = "rank", agent = "a", n = 2 },
    { step = "aggregate", agent = "a" },
]
[pipelines.q]
steps = [
    { step = "propose", agents = ["a", { model = "b", samples = 2 }] },
    { step = "vote", agent = "a" },
]
""")


def record(*settings: str, pipeline: str = "p", seed: int = 1, config: Config = CONFIG, real: bool = True) -> RunRecord:
    steps = changed(config.pipelines[pipeline], 1, settings, config) if settings else config.pipelines[pipeline]
    spec = RunSpec("a", steps, Question("Why?"), seed)
    return record_of(StoredRun(spec, {}, simulated=not real), texts=True)


def test_equal_runs_have_no_differences() -> None:
    assert differences(record(), record()) == ()


def test_settings_of_the_run_come_first_then_those_of_its_steps() -> None:
    fork = record("1.agents=b,a", "2.n=1", "3.temperature=0.2", "3.extra={ top_p = 0.5 }", seed=2, real=False)
    assert differences(record(), fork) == (
        Difference(None, "models", "real", "simulated"),
        Difference(None, "seed", "1", "2"),
        Difference(1, "agents", '["a", {"model": "b", "samples": 2}]', "b, a"),
        Difference(2, "n", "2", "1"),
        Difference(3, "extra", None, '{"top_p": 0.5}'),
        Difference(3, "temperature", "0.7", "0.2"),
    )


def test_a_step_of_another_kind_is_one_difference_and_so_is_a_missing_one() -> None:
    assert differences(record(), record(pipeline="q")) == (
        Difference(None, "pipeline", "p", "q"),
        Difference(2, "step", "rank", "vote"),
        Difference(3, "step", "aggregate", None),
    )


def test_a_record_that_can_not_be_read_is_an_error() -> None:
    broken = RunRecord("a", "p", '{"spec": 3}', "complete", "", 0, 0)
    with pytest.raises(JournalError, match="run a can't be read"):
        differences(record(), broken)
