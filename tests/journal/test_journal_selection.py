"""Records of runs by filters and page by page, in every journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from moa_mcp.errors import RunNotFound
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.runs.lookup import every
from moa_mcp.values import ACTIVE
from tests.support.journals import record_of

pytestmark = pytest.mark.anyio
LATER = 10.0**10
Select = Callable[[Journal], Awaitable[tuple[RunRecord, ...]]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


async def fill(journal: Journal) -> None:
    """Store runs: q queued, r running, c complete, f failed; of callers and batches."""
    whose = "q1 ann b, r1 ann -, c1 - b, f1 bob b, q2 - -, c2 ann b".replace("-", "")
    for number, each in enumerate(whose.split(", ")):
        run_id, caller, batch = each.split(" ")
        record = replace(record_of(run_id, created_at=float(number // 2)), caller=caller, batch=batch)
        await journal.begin(record, queued=run_id.startswith("q"))
    await journal.finish("c1", "complete")
    await journal.finish("f1", "failed")
    await journal.finish("c2", "degraded")


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (lambda each: each.records(), "c2 q2 f1 c1 r1 q1"),
        (lambda each: each.records(statuses=("queued",)), "q2 q1"),
        (lambda each: each.records(statuses=ACTIVE), "q2 r1 q1"),
        (lambda each: each.records(statuses=("complete", "degraded", "queued")), "c2 q2 c1 q1"),
        (lambda each: each.records(statuses=()), ""),
        (lambda each: each.records(caller="ann"), "c2 r1 q1"),
        (lambda each: each.records(caller=""), "q2 c1"),
        (lambda each: each.records(caller="nobody"), ""),
        (lambda each: each.records(batch="b"), "c2 f1 c1 q1"),
        (lambda each: each.records(batch=""), "q2 r1"),
        (lambda each: each.records(caller="ann", batch="b", statuses=("queued",)), "q1"),
        (lambda each: each.records(limit=2), "c2 q2"),
        (lambda each: each.records(limit=0), ""),
        (lambda each: each.records(before="q2"), "f1 c1 r1 q1"),
        (lambda each: each.records(before="f1", limit=2), "c1 r1"),
        (lambda each: each.records(before="q1"), ""),
        (lambda each: each.records(before="f1", statuses=ACTIVE, caller="ann"), "r1 q1"),
        (lambda each: each.records(changed_since=LATER), ""),
        (lambda each: each.records(changed_since=1.0, statuses=("failed",)), "f1"),
    ],
)
async def test_records_are_those_that_match_all_filters_newest_first(
    journal: Journal, select: Select, expected: str
) -> None:
    await fill(journal)
    assert " ".join(each.run_id for each in await select(journal)) == expected


@pytest.mark.parametrize("before", ["unknown", "\ud800"])
async def test_there_is_no_page_before_a_run_that_is_not_recorded(journal: Journal, before: str) -> None:
    for _ in range(2):
        with pytest.raises(RunNotFound):
            await journal.records(before=before)
        await fill(journal)


async def test_pages_have_each_run_once_though_many_began_at_the_same_moment(journal: Journal) -> None:
    for number in range(11):
        await journal.begin(record_of(f"r{number:02}", created_at=1.0))
    seen, page = list[str](), await journal.records(limit=3)
    while page:
        seen += [each.run_id for each in page]
        page = await journal.records(limit=3, before=seen[-1])
    assert seen == [f"r{number:02}" for number in reversed(range(11))]


async def test_all_records_are_read_page_by_page_also_when_runs_are_deleted_meanwhile(journal: Journal) -> None:
    for number in range(1001):
        await journal.begin(record_of(f"r{number:04}", created_at=float(number)), queued=True)
    found = [each.run_id async for each in every(journal, {"queued"})]
    assert found == [f"r{number:04}" for number in reversed(range(1001))]
    read = list[str]()
    async for each in every(journal):
        read.append(each.run_id)
        if len(read) == 1:
            for run_id in found:
                await journal.cancel(run_id)
            await journal.forget(older_than=LATER)
    assert read == found[:500]
