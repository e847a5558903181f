"""A tutorial in tests, part 2: what a run does when models fail or cost too much."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moa_mcp.config import parse
from moa_mcp.errors import AuthFailed, Failure, RateLimited, ServerFailed
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import NewRun, Ready, Runs
from moa_mcp.testing import ScriptedModel, run_pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Price, Question, Rates, Target

pytestmark = pytest.mark.anyio

CENT = Decimal("0.01")


async def test_a_failed_agent_leaves_the_run_with_the_other_answers() -> None:
    """The run goes on without the missing answer, and its status says so."""
    steps = 'steps = [{ step = "propose", agents = ["x", "y"] }, { step = "aggregate", agent = "z" }]'
    trace = await run_pipeline(steps, "Why?", ScriptedModel({"x": ServerFailed("HTTP 500"), "z": "Because."}))
    assert (trace.status, trace.answer) == ("degraded", "Because.")
    assert trace.notes == ("propose: 1 of 2 failed (x: HTTP 500)",)


async def test_a_quorum_is_the_number_of_answers_that_a_step_needs() -> None:
    """With fewer answers the step fails, and the run with it: no proposal is returned in place of the result."""
    steps = """steps = [
        { step = "propose", agents = ["x", "y", "z"], quorum = 2 },
        { step = "aggregate", agent = "x" },
    ]"""
    down = ServerFailed("down")
    trace = await run_pipeline(steps, "Why?", ScriptedModel({"y": down, "z": down}))
    assert (trace.status, trace.answer) == ("failed", None)
    assert trace.error == "step 1 (propose): 1 of 3 calls were answered, 2 are needed: y: down; z: down"


async def test_a_fallback_agent_answers_if_the_first_choice_fails() -> None:
    """A step with one agent can name another one for this case."""
    steps = """steps = [
        { step = "propose", agents = ["x", "y"] },
        { step = "aggregate", agent = "big", fallback_agent = "small" },
    ]"""
    trace = await run_pipeline(steps, "Why?", ScriptedModel({"big": AuthFailed("bad key"), "small": "Because."}))
    assert (trace.status, trace.answer) == ("degraded", "Because.")


async def run_with_layers(model: ScriptedModel, settings: str) -> Trace:
    """Run one agent with everything that stands between a pipeline and a provider: retries, budget, rate limits."""
    config = parse(f"""
        {settings}
        [pipelines.one]
        steps = [{{ step = "propose", agents = ["openai/x"] }}]
    """)

    async def usable(alias: str) -> tuple[Target, ...]:
        return (Target(alias, "openai", price=Price(Rates(CENT, CENT, CENT, CENT), "this test")),)

    async with Runs(config, Backend(model, lambda _: usable)).open() as runs:
        ready = await runs.admit(NewRun(pipeline=config.pipelines["one"], question=Question("Why?")))
        assert isinstance(ready, Ready)
        run = await runs.start(ready)
        await run.ended.wait()
    return run.trace


async def test_a_call_that_may_succeed_later_is_retried() -> None:
    """The layers retry rate limits, server errors and timeouts, and the trace shows every attempt."""
    busy = RateLimited("HTTP 429", retry_after_s=0)
    trace = await run_with_layers(ScriptedModel({"openai/x": [busy, "Because."]}), "limits.attempts = 2")
    assert (trace.status, trace.answer) == ("complete", "Because.")
    (call,) = trace.steps[0].calls
    first, second = call.attempts
    assert first.failure == Failure.of(busy)
    assert second.completion == call.completion


async def test_a_run_never_exceeds_its_budget() -> None:
    """Before a call is sent, the most that it can cost must fit the budget; here it does not, at a cent per token."""
    model = ScriptedModel()
    trace = await run_with_layers(model, "budget.max_cost_usd = 1.00\ndefaults.max_tokens = 2000")
    assert trace.status == "failed"
    assert "max_cost_usd = $1" in str(trace.error)
    assert model.calls == []
