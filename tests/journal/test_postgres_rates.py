"""Rates and the budget of a day that four processes with many callers share."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack

import anyio
import pytest

from moa_mcp.errors import JournalError
from moa_mcp.journal.postgres import PostgresJournal
from moa_mcp.journal.rates import RateStore, Share
from tests.support.database import Cluster, rows
from tests.support.nursery import Nursery

pytestmark = pytest.mark.anyio
CALLERS, CALLS, CAP = 32, 2, 4000
GAP_S = 0.005
"""Seconds between two requests at the rate of the test."""
WORK = """
import json, time
import anyio
from moa_mcp.journal.postgres import PostgresJournal
from moa_mcp.journal.spending import Commitment
from moa_mcp.middleware import Limits
from moa_mcp.middleware.shared_rates import SharedRates
from moa_mcp.values import Call, Message, Place, Target

async def main():
    journal = PostgresJournal(SETTINGS["url"])
    rates = SharedRates(journal, Limits(requests_per_minute={"p": 60 / SETTINGS["gap_s"]}))
    target = Target("p/m", "p")
    starts, committed = [], {}

    async def caller(number):
        call = Call("r", Place(1, number + 1), "a", (Message("user", "Why?"),), {}, 0)
        for _ in range(SETTINGS["calls"]):
            await rates.take(call, target, lambda *_: None)
            starts.append(time.time())
        run_id = f"{SETTINGS['process']}-{number}"
        for amount in (70, 30, 50, 10, 60):
            if (await journal.commit_spending(Commitment(run_id, amount, SETTINGS["cap"], amount // 2))).accepted:
                committed[run_id] = amount

    await anyio.amap(caller, range(SETTINGS["callers"]))
    await journal.close()
    print(json.dumps([starts, sum(committed.values())]), flush=True)

anyio.run(main)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the driver knows no other


@pytest.fixture
async def journal(database: str) -> AsyncIterator[PostgresJournal]:
    journal = PostgresJournal(database)
    yield journal
    await journal.close()


def test_four_processes_with_many_callers_keep_their_rate_together_and_the_sum_of_the_day_is_exact(
    nursery: Nursery, database: str
) -> None:
    began = time.time()
    with ExitStack() as stack:
        processes = []
        for number in range(4):
            sizes = {"calls": CALLS, "callers": CALLERS, "cap": CAP, "gap_s": GAP_S}
            settings = {"url": database, "process": number, **sizes}
            prelude = f"SETTINGS = {settings!r}\n{WORK}"
            processes.append(stack.enter_context(nursery.start("--version", environ={}, prelude=prelude)))
        said = [json.loads(process.communicate()[0].splitlines()[0]) for process in processes]
    starts = sorted(start for started, _ in said for start in started)
    assert len(starts) == 4 * CALLERS * CALLS
    early = [number for number, start in enumerate(starts) if start - began < number * GAP_S - 0.001]
    assert early == []
    ((total,),) = rows(database, "SELECT sum(nanodollars) FROM moa.spending")
    assert total == sum(committed for _, committed in said) <= CAP


async def test_what_is_booked_counts_from_now_and_is_corrected(journal: PostgresJournal, database: str) -> None:
    assert isinstance(journal, RateStore)
    assert await journal.book({"a": Share(10.0, 0.0), "b": Share(0.0, 5.0)}) == {"a": Share(), "b": Share()}
    booked = await journal.book({"a": Share(10.0, 7.0)})
    assert booked["a"] == pytest.approx((10.0, 0.0), abs=1.0)
    journal.correct("a", Share(-5.0, 0.0))
    journal.correct("a", Share(0.0, -100.0))
    journal.correct("b", Share(0.0, 1.0))
    await journal.close()
    after = PostgresJournal(database)
    booked = await after.book({"a": Share(), "b": Share()})
    await after.close()
    assert booked["a"] == pytest.approx((15.0, 0.0), abs=2.0)
    assert booked["b"] == pytest.approx((0.0, 6.0), abs=2.0)


async def test_a_correction_during_an_outage_is_lost_and_breaks_nothing(
    journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch, cluster: Cluster
) -> None:
    monkeypatch.setattr("moa_mcp.journal.postgres.connections.PATIENT_S", 0.1)
    await journal.book({"a": Share(10.0, 0.0)})
    cluster.stop()
    try:
        journal.correct("a", Share(1.0, 0.0))
        with anyio.fail_after(10):
            await journal.close()
    finally:
        cluster.start()
    with pytest.raises(JournalError, match="is closed"):
        await journal.book({"a": Share()})


async def test_requests_are_booked_only_as_far_as_they_fit_and_what_is_over_is_forgotten(
    journal: PostgresJournal, database: str
) -> None:
    other = PostgresJournal(database)
    taken = [await each.take("a", 20.0, 60.0) for each in (journal, other, journal)]
    refused = [await each.take("a", 20.0, 60.0) for each in (other, journal)]
    await other.close()
    assert taken == [0.0] * 3
    assert refused == [pytest.approx(20.0, abs=1.0)] * 2
    await journal.take("over", 0.0, 60.0)
    await journal.forget()
    assert rows(database, "SELECT account FROM moa.rates") == [("a",)]
