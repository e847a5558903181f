"""Runs that tests start: admitted first, as every face does it."""

from __future__ import annotations

from decimal import Decimal

from moa_mcp.config import Pipeline
from moa_mcp.events import Emit
from moa_mcp.runs import ForkedRun, NewRun, Ready, ResumedRun, Run, RunRequest, Runs
from moa_mcp.values import Question


async def ready(runs: Runs, request: RunRequest) -> Ready:
    """Return a run that may start at once."""
    admitted = await runs.admit(request)
    assert isinstance(admitted, Ready), admitted
    return admitted


async def start_run(
    runs: Runs,
    pipeline: Pipeline,
    question: Question,
    *,
    seed: int | None = None,
    max_cost_usd: Decimal | None = None,
    deadline_s: float | None = None,
    watch: Emit | None = None,
) -> Run:
    """Start a new run, with its own limits instead of the configured ones."""
    request = NewRun(
        pipeline=pipeline,
        question=question,
        seed=seed,
        max_cost_usd=max_cost_usd,
        deadline_s=deadline_s,
        overrides_limits=True,
    )
    return await runs.start(await ready(runs, request), watch)


async def resume_run(runs: Runs, run_id: str, max_cost_usd: Decimal | None = None) -> Run:
    """Resume a run, with another budget if one is given."""
    request = ResumedRun(run_id=run_id, max_cost_usd=max_cost_usd, overrides_limits=True)
    return await runs.start(await ready(runs, request))


async def fork_run(runs: Runs, run_id: str, step: int, pipeline: Pipeline, max_cost_usd: Decimal | None = None) -> Run:
    """Fork a run, with another budget if one is given."""
    request = ForkedRun(run_id=run_id, step=step, pipeline=pipeline, max_cost_usd=max_cost_usd, overrides_limits=True)
    return await runs.start(await ready(runs, request))
