"""The only way to start a run: what `Runs.admit` decides, and that nothing starts without it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from moa_mcp.errors import AuthFailed, MissingKey
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import (
    ConfirmationRequired,
    Consent,
    ForkedRun,
    NewRun,
    Ready,
    ResumedRun,
    Run,
    RunRefused,
    RunRequest,
    Runs,
)
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Price, Question, Rates, Target
from tests.support.journals import config_of
from tests.support.starting import ready, start_run

pytestmark = pytest.mark.anyio

CENT = Decimal("0.01")
WHY = Question("Why?")
LIMIT = "defaults.max_tokens = 100\nlimits.attempts = 1\nbudget.confirm_above_usd = 1"


def runs_of(settings: str = LIMIT, model: ScriptedModel | None = None) -> Runs:
    """Return runs whose models cost a cent per token; one of the pipeline `p` is expected to cost some ten dollars."""

    async def usable(alias: str) -> tuple[Target, ...]:
        return (Target(f"p/{alias}", "p", price=Price(Rates(CENT, CENT, CENT, CENT), "the test")),)

    return Runs(config_of(settings=settings), Backend(model or ScriptedModel(), lambda _: usable))


def new(runs: Runs, max_cost_usd: float | None = None, **terms: Any) -> NewRun:
    budget = None if max_cost_usd is None else Decimal(str(max_cost_usd))
    return NewRun(pipeline=runs.config.pipelines["p"], question=WHY, seed=0, max_cost_usd=budget, **terms)


async def ended(runs: Runs, request: RunRequest) -> Run:
    run = await runs.start(await ready(runs, request))
    await run.ended.wait()
    return run


async def test_a_run_above_the_limit_is_not_ready_until_it_is_confirmed_and_then_starts_once() -> None:
    model = ScriptedModel()
    runs = runs_of(model=model)
    async with runs.open():
        outcome = await runs.admit(new(runs))
        assert isinstance(outcome, ConfirmationRequired)
        assert model.calls == []
        run = await runs.start(outcome.confirmed())
        await run.ended.wait()
        with pytest.raises(RuntimeError, match="was started before"):
            await runs.start(outcome.confirmed())
        assert await runs.journal.records() == (await runs.journal.record(run.run_id),)
    assert run.trace.status == "complete"


@pytest.mark.parametrize("made", ["request", "confirmation", "pipeline"])
async def test_what_was_not_admitted_does_not_start(made: str) -> None:
    runs = runs_of()
    anything: dict[str, Any] = {
        "request": new(runs, consent="given"),
        "confirmation": await runs.admit(new(runs)),
        "pipeline": runs.config.pipelines["p"],
    }
    async with runs.open():
        with pytest.raises(TypeError, match=r"a run starts from what Runs.admit returned as Ready"):
            await runs.start(anything[made])
        assert await runs.journal.records() == ()


async def test_only_an_admission_creates_a_ready() -> None:
    runs = runs_of()
    admitted = await ready(runs, new(runs, consent="given"))
    with pytest.raises(TypeError, match=r"only Runs.admit creates a Ready"):
        Ready(runs, admitted.request, admitted.run_id, admitted.work)


async def test_a_run_that_others_admitted_does_not_start() -> None:
    lenient, strict = runs_of("defaults.max_tokens = 100"), runs_of()
    async with strict.open():
        with pytest.raises(RuntimeError, match="in the Runs that admitted it"):
            await strict.start(await ready(lenient, new(lenient)))


@pytest.mark.parametrize(
    ("max_cost_usd", "consent", "starts"),
    [
        (None, "none", False),
        (None, "budget", False),
        (None, "given", True),
        (1, "none", True),
        (1.01, "budget", False),
        (1.01, "given", True),
        (90, "none", False),
        (90, "budget", True),
    ],
)
async def test_a_cost_is_confirmed_by_the_caller_or_by_a_budget_that_covers_it_where_that_counts(
    max_cost_usd: float | None, consent: Consent, *, starts: bool
) -> None:
    runs = runs_of()
    outcome = await runs.admit(new(runs, max_cost_usd, consent=consent))
    assert isinstance(outcome, Ready if starts else ConfirmationRequired)


@pytest.mark.parametrize(
    ("wanted", "overrides", "cap", "deadline_s"),
    [
        (None, False, 5, 60),
        (None, True, 5, 60),
        (3, False, 3, 3),
        (90, False, 5, 60),
        (90, True, 90, 90),
    ],
)
async def test_a_budget_and_a_deadline_can_only_be_lower_than_configured_unless_they_override(
    wanted: float | None, cap: float, deadline_s: float, *, overrides: bool
) -> None:
    runs = runs_of("defaults.max_tokens = 100\nbudget.max_cost_usd = 5\nlimits.deadline_s = 60")
    request = new(runs, wanted, deadline_s=wanted, overrides_limits=overrides)
    admitted = await ready(runs, request)
    assert admitted.work is not None
    spec = admitted.work.stored.spec
    assert spec.max_cost_usd == Decimal(cap)
    assert spec.deadline_s == deadline_s


async def test_a_fork_needs_a_confirmation_of_what_it_pays_itself() -> None:
    runs = runs_of()
    async with runs.open():
        whole = await ended(runs, new(runs, consent="given"))
        fork = ForkedRun(run_id=whole.run_id, step=3, pipeline=runs.config.pipelines["p"])
        required = await runs.admit(fork)
        assert isinstance(required, ConfirmationRequired)
        assert (required.confirmation.calls, required.confirmation.pipeline) == (1, "p")
        forked = await ended(runs, replace(fork, consent="given"))
    assert forked.trace.status == "complete"


async def test_a_resumed_run_needs_a_confirmation_only_of_a_higher_budget() -> None:
    model = ScriptedModel({"z": [AuthFailed("401"), AuthFailed("401"), "So."]})
    runs = runs_of(model=model)
    async with runs.open():
        failed = await ended(runs, new(runs, 80, consent="given"))
        assert (failed.trace.status, failed.trace.reason) == ("failed", "step")
        again = await ended(runs, ResumedRun(run_id=failed.run_id))
        assert again.trace.status == "failed"
        raised = ResumedRun(run_id=failed.run_id, max_cost_usd=Decimal(90))
        required = await runs.admit(raised)
        assert isinstance(required, ConfirmationRequired)
        assert required.confirmation.calls == 1
        done = await ended(runs, replace(raised, consent="budget"))
    assert done.trace.answer == "So."


async def test_a_small_budget_does_not_open_the_way_to_a_large_one_without_a_confirmation() -> None:
    model = ScriptedModel()
    runs = runs_of(model=model)
    async with runs.open():
        small = await ended(runs, new(runs, 1))
        assert (small.trace.status, small.trace.reason, model.calls) == ("failed", "budget", [])
        raised = ResumedRun(run_id=small.run_id, max_cost_usd=Decimal(90))
        assert isinstance(await runs.admit(raised), ConfirmationRequired)


async def test_a_run_without_a_usable_provider_is_refused_with_the_reason_and_leaves_no_record() -> None:
    config = config_of(settings=LIMIT)
    runs = Runs(config, Backend(ScriptedModel(), lambda _: nothing))
    refused = await runs.admit(new(runs))
    assert isinstance(refused, RunRefused)
    assert (refused.reason, refused.models) == ("no_provider", tuple("abcxyz"))
    assert await runs.journal.records() == ()


async def nothing(alias: str) -> tuple[Target, ...]:
    message = f"set KEY_OF_{alias}"
    raise MissingKey(message)


async def test_an_active_run_is_returned_to_whoever_resumes_it() -> None:
    runs = runs_of("defaults.max_tokens = 100")
    async with runs.open():
        run = await start_run(runs, runs.config.pipelines["p"], WHY)
        assert await runs.start(await ready(runs, ResumedRun(run_id=run.run_id))) is run
        await run.ended.wait()


async def test_runs_that_are_not_open_start_nothing() -> None:
    model = ScriptedModel()
    runs = runs_of(model=model)
    with pytest.raises(RuntimeError, match="async with"):
        await runs.start(await ready(runs, new(runs, consent="given")))
    assert not model.calls
