"""Budgets of callers: the runs of each share one, over all processes, and those of others do not wait for it."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from moa_mcp.callers import Caller, Permissions
from moa_mcp.journal import Journal
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.runs import CallerRuns, NewRun, Ready, ResumedRun, Run, Runs
from tests.budget.test_budget import WHY, saying
from tests.budget.test_budget_waiting import COST, all_ended
from tests.support.clocks import jumping
from tests.support.days import today
from tests.support.stores import EXPIRES, STORES
from tests.support.tables import AGGREGATE, PROPOSE

pytestmark = pytest.mark.anyio

MANY = 20


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


def of(runs: Runs, name: str, dollars: int | None) -> CallerRuns:
    limit = None if dollars is None else Decimal(dollars)
    return CallerRuns(runs, Caller(name, Permissions(max_cost_usd_per_day=limit)))


async def begun(mine: CallerRuns, count: int) -> list[Run]:
    admitted = [
        await mine.admit(NewRun(pipeline=mine.config.pipelines["p"], question=WHY, seed=0)) for _ in range(count)
    ]
    return [await mine.start(each) for each in admitted if isinstance(each, Ready)]


async def spent(journal: Journal, caller: str) -> Decimal:
    return Decimal(await journal.spending(today(), caller)) / 10**9


@pytest.mark.parametrize("day", ["", f"max_cost_usd_per_day = {MANY * COST + 200}"])
@pytest.mark.parametrize("dollars", [40, 97, 150])
async def test_as_many_runs_of_a_caller_begun_at_once_are_answered_as_one_after_another(dollars: int, day: str) -> None:
    statuses: list[Counter[str]] = []
    for together in (True, False):
        provider, journal = saying(tokens=100), MemoryJournal()
        runs = provider.runs(day, PROPOSE, AGGREGATE, journal=journal)
        async with runs.open():
            alice = of(runs, "alice", dollars)
            started = await begun(alice, MANY) if together else []
            while not together and len(started) < MANY:
                started += await begun(alice, 1)
                await all_ended(started)
            traces = await all_ended(started)
        assert provider.billed == await spent(journal, "alice") <= dollars
        refused = [trace.error or "" for trace in traces if trace.status == "failed"]
        assert all("max_cost_usd_per_day of alice" in error for error in refused)
        statuses.append(Counter(trace.status for trace in traces))
    assert statuses[0] == statuses[1]


async def test_runs_of_one_caller_do_not_wait_for_the_budget_of_another() -> None:
    provider, journal = saying(tokens=100), MemoryJournal()
    runs = provider.runs("max_cost_usd_per_day = 100000", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        of_alice = await begun(of(runs, "alice", 40), 4)
        await anyio.sleep(0.01)
        waiting = [run.trace.waiting for run in of_alice]
        of_bob = await begun(of(runs, "bob", None), 1)
        (trace,) = await all_ended(of_bob)
        assert trace.status == "complete"
        assert any("of alice" in each for each in waiting)
        await all_ended(of_alice)
    assert await spent(journal, "bob") == COST
    assert await spent(journal, "alice") == provider.billed - COST <= 40


async def test_a_resumed_run_has_the_budget_that_its_caller_has_now() -> None:
    provider, journal = saying(tokens=100), MemoryJournal()
    runs = provider.runs("", PROPOSE, AGGREGATE, journal=journal)

    async with runs.open():
        (run,) = await begun(of(runs, "alice", 1), 1)
        (trace,) = await all_ended([run])
        assert trace.status == "failed"
        richer = of(runs, "alice", 1000)
        admitted = await richer.admit(ResumedRun(run_id=run.run_id))
        assert isinstance(admitted, Ready)
        (trace,) = await all_ended([await richer.start(admitted)])
    assert trace.status == "complete"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("store", EXPIRES)
async def test_processes_that_start_runs_of_a_caller_at_once_never_exceed_its_budget(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    opened = STORES[store](tmp_path if store == "sqlite" else request.getfixturevalue("database"))
    provider, dollars = saying(tokens=100, seconds=0.001), 3 * COST + 31
    async with AsyncExitStack() as processes:
        started: list[Run] = []
        for _ in range(2):
            runs = provider.runs("", PROPOSE, AGGREGATE, journal=opened())
            started += await begun(of(await processes.enter_async_context(runs.open()), "alice", dollars), 4)
        traces = await all_ended(started)
    closed = opened()
    assert 0 < provider.billed <= await spent(closed, "alice") <= dollars  # calls that were cut off count in full
    await closed.close()
    assert Counter(trace.status for trace in traces)["complete"] > 0
