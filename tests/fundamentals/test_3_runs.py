"""A tutorial in tests, part 3: what is recorded of a run, and what a record is good for."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from moa_mcp.config import parse
from moa_mcp.errors import ServerFailed
from moa_mcp.events import Event
from moa_mcp.journal import Journal
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import ForkedRun, NewRun, Ready, ResumedRun, Run, RunRequest, Runs, changed
from moa_mcp.testing import ScriptedModel, run_pipeline
from moa_mcp.trace.trace import trace_of
from moa_mcp.values import Completion, Question, Target, Usage

pytestmark = pytest.mark.anyio

WHY = Question("Why?")
CONFIG = parse("""
    [pipelines.panel]
    steps = [
        { step = "propose", agents = ["openai/x", "openai/y"] },
        { step = "aggregate", agent = "openai/z" },
    ]
""")
PANEL = CONFIG.pipelines["panel"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the SQLite journal needs it


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return SQLiteJournal(tmp_path / "journal.sqlite")


def runs_of(model: ScriptedModel, journal: Journal) -> Runs:
    """Return what a server has: runs of a configuration, at a provider, with a journal."""

    async def usable(alias: str) -> tuple[Target, ...]:
        return (Target(alias, "openai"),)

    return Runs(CONFIG, Backend(model, lambda _: usable), journal)


async def ended(runs: Runs, request: RunRequest) -> Run:
    """Admit a run, which checks its budget and its models, then start it and wait for its end."""
    ready = await runs.admit(request)
    assert isinstance(ready, Ready)
    run = await runs.start(ready)
    await run.ended.wait()
    return run


async def test_events_tell_everything_that_happens_in_a_run() -> None:
    """Trace, progress, journal and display are views of this one stream."""
    events: list[Event] = []
    steps = 'steps = [{ step = "propose", agents = ["x"] }]'
    await run_pipeline(steps, "Why?", ScriptedModel({"x": "Because."}), watch=events.append)
    assert [event.kind for event in events] == [
        "run_started",
        "step_started",
        "call_started",
        "attempt_started",
        "text_received",
        "attempt_finished",
        "call_finished",
        "step_finished",
        "run_finished",
    ]


async def test_a_trace_has_the_answers_tokens_and_cost_of_every_call() -> None:
    """Steps, calls and attempts each know their part, and the trace adds them up."""
    model = ScriptedModel(otherwise=Completion("Because.", "m", usage=Usage(10, 5), cost_usd=Decimal("0.01")))
    steps = 'steps = [{ step = "propose", agents = ["x", "y"] }, { step = "aggregate", agent = "z" }]'
    trace = await run_pipeline(steps, "Why?", model)
    assert (trace.usage, trace.cost_usd) == (Usage(30, 15), Decimal("0.03"))
    assert [step.cost_usd for step in trace.steps] == [Decimal("0.02"), Decimal("0.01")]
    assert [call.agent for call in trace.steps[0].calls] == ["x", "y"]


async def test_a_journal_keeps_the_events_and_they_are_enough_to_rebuild_the_trace(journal: Journal) -> None:
    """A finished run can be replayed from its events at any time, without a model."""
    async with runs_of(ScriptedModel(), journal).open() as runs:
        run = await ended(runs, NewRun(pipeline=PANEL, question=WHY))
        events = (await journal.events(run.run_id)).events
    assert trace_of(events) == run.trace


async def test_a_run_that_failed_is_resumed_and_pays_only_for_what_is_missing(journal: Journal, tmp_path: Path) -> None:
    """The proposals are in the journal, so another process asks only the aggregator again."""
    model = ScriptedModel({"openai/z": ServerFailed("down", retry_after_s=0)})
    async with runs_of(model, journal).open() as runs:
        failed = await ended(runs, NewRun(pipeline=PANEL, question=WHY))
    assert failed.trace.status == "failed"

    later, another = ScriptedModel({"openai/z": "Because."}), SQLiteJournal(tmp_path / "journal.sqlite")
    async with runs_of(later, another).open() as runs:
        run = await ended(runs, ResumedRun(run_id=failed.run_id))
    assert (run.trace.status, run.trace.answer) == ("complete", "Because.")
    assert [call.agent for call in later.calls] == ["openai/z"]


async def test_a_fork_takes_the_answers_before_a_step_and_does_the_rest_otherwise(journal: Journal) -> None:
    """A new run with another aggregator does not pay for the proposals again."""
    model = ScriptedModel()
    async with runs_of(model, journal).open() as runs:
        first = await ended(runs, NewRun(pipeline=PANEL, question=WHY))
        model.calls.clear()
        other = changed(PANEL, 2, ["agent=openai/better"], CONFIG)
        fork = await ended(runs, ForkedRun(run_id=first.run_id, step=2, pipeline=other))
    assert (fork.trace.forked_from, fork.trace.inherited) == (first.run_id, 1)
    assert fork.trace.steps[0].answers == first.trace.steps[0].answers
    assert [call.agent for call in model.calls] == ["openai/better"]
