"""Who owns a run, in every journal: begin, claim, queue, release, cancellation, and what becomes of dead owners."""

from __future__ import annotations

import anyio
import pytest
from msgspec.structs import replace

from moa_mcp.errors import LeaseLost
from moa_mcp.journal import Journal
from moa_mcp.values import Status
from tests.support.journals import asked, record_of, went_out
from tests.support.stores import EXPIRES, Open

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


async def state(journal: Journal, run_id: str = "r") -> tuple[Status, bool]:
    record = await journal.record(run_id)
    assert record is not None
    return record.status, record.owned


async def test_a_run_whose_id_is_known_does_not_begin_again_in_any_process(journal: Journal, rival: Journal) -> None:
    first = record_of(created_at=1.0)
    assert await journal.begin(first)
    await journal.keep("r", went_out())
    for each in (journal, rival):
        assert not await each.begin(replace(first, pipeline="other", created_at=2.0))
        assert not await each.begin(first, queued=True)
    assert await journal.record("r") == replace(first, owned=True)
    await journal.keep("r", went_out(2))
    await journal.finish("r", "complete")
    assert not await rival.begin(first)
    assert await state(rival) == ("complete", False)
    assert len((await rival.events("r")).events) == 2


async def test_of_many_that_begin_a_run_at_once_one_does(journal: Journal, rival: Journal) -> None:
    begun = await anyio.amap(lambda each: each.begin(record_of()), [journal, rival] * 5)
    assert sum(begun) == 1


async def test_a_queued_run_belongs_to_nobody_until_one_claims_it(journal: Journal, rival: Journal) -> None:
    record = replace(record_of(), caller="ann", batch="b1")
    assert await journal.begin(record, queued=True)
    assert await rival.record("r") == replace(record, status="queued", owned=False)
    with pytest.raises(LeaseLost):
        await journal.keep("r", went_out())
    assert await journal.renew(["r"]) == frozenset()
    claims = await anyio.amap(lambda each: each.claim("r"), [journal, rival] * 5)
    (claim,) = [each for each in claims if each is not None]
    assert not claim.began
    assert claim.record == await journal.record("r")
    assert (claim.record.status, claim.record.owned) == ("running", True)
    assert (claim.record.caller, claim.record.batch, claim.record.spec) == ("ann", "b1", record.spec)


async def test_a_claim_tells_whether_the_run_was_ever_executed(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of("begun"))
    await journal.release("begun")
    await journal.begin(record_of("queued"), queued=True)
    assert await journal.claim("queued")
    await journal.release("queued", requeue=True)
    assert await state(rival, "queued") == ("queued", False)
    claims = [await rival.claim(each) for each in ("begun", "queued")]
    assert [claim and claim.began for claim in claims] == [True, False]
    await rival.keep("queued", went_out())
    await rival.release("queued", requeue=True)
    again = await journal.claim("queued")
    assert again is not None
    assert again.began
    await journal.finish("queued", "failed")
    failed = await rival.claim("queued")
    assert failed is not None
    assert (failed.began, failed.record.status) == (True, "running")


async def test_only_its_owner_releases_a_run(journal: Journal, rival: Journal, opened: Open) -> None:
    if rival is journal:
        pytest.skip("in memory there is one process")
    del opened
    await journal.begin(record_of())
    await rival.release("r")
    await rival.release("r", requeue=True)
    await rival.finish("r", "failed")
    assert await state(journal) == ("running", True)
    await journal.keep("r", went_out())


async def test_only_its_owner_redefines_a_run(journal: Journal, rival: Journal) -> None:
    record = record_of()
    await journal.redefine("r", "unknown")
    await journal.begin(record)
    if rival is not journal:
        await rival.redefine("r", "stolen")
    await journal.redefine("r", '{"seed": 7}')
    await journal.release("r")
    await journal.redefine("r", "late")
    found = await rival.record("r")
    assert found is not None
    assert found == replace(record, spec='{"seed": 7}', owned=False, updated_at=found.updated_at)


async def test_a_run_that_has_ended_is_not_queued_again(journal: Journal) -> None:
    await journal.begin(record_of())
    await journal.finish("r", "complete")
    await journal.release("r", requeue=True)
    assert await state(journal) == ("complete", False)


async def test_a_queued_run_can_be_cancelled_and_then_resumed(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of(), queued=True)
    assert await rival.cancel("r")
    assert not await rival.cancel("r")
    assert await state(journal) == ("cancelled", False)
    claim = await journal.claim("r")
    assert claim is not None
    assert await state(rival) == ("running", True)


async def test_what_an_owner_appends_after_it_lost_the_run_is_not_stored(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of())
    await journal.release("r")
    assert await rival.claim("r")
    if rival is not journal:
        journal.append("r", asked())
        with pytest.raises(LeaseLost):
            await journal.keep("r", went_out())
        await journal.release("r", requeue=True)
    assert await state(rival) == ("running", True)
    await rival.keep("r", went_out(2))
    (kept,) = (await rival.events("r")).events
    assert kept == replace(went_out(2), at=kept.at)


async def test_queued_runs_are_not_deleted(journal: Journal) -> None:
    await journal.begin(replace(record_of(), updated_at=1.0), queued=True)
    assert await journal.forget(older_than=10.0**9, beyond_bytes=0, dry=True) == 0
    assert await journal.forget(older_than=10.0**9, beyond_bytes=0) == 0
    assert await state(journal) == ("queued", False)


async def test_runs_of_live_owners_are_not_freed(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of("mine"))
    await journal.begin(record_of("queued"), queued=True)
    for each in (journal, rival):
        assert await each.free_dead() == frozenset()
    assert await state(rival, "mine") == ("running", True)
    assert await state(rival, "queued") == ("queued", False)


@pytest.mark.parametrize("opened", EXPIRES, indirect=True)
async def test_runs_of_dead_owners_are_freed_and_those_of_a_queue_queued_again(opened: Open) -> None:
    dead, live = opened(lease_s=-1.0), opened(lease_s=0.5)
    await dead.begin(record_of("begun"))
    for run_id in ("queued", "executed"):
        await dead.begin(record_of(run_id), queued=True)
        assert await dead.claim(run_id)
    await dead.keep("executed", went_out())
    await live.begin(record_of("live"))
    assert await live.free_dead() == {"begun", "queued", "executed"}
    assert await live.free_dead() == frozenset()
    assert [await state(live, each) for each in ("begun", "queued", "executed", "live")] == [
        ("running", False),
        ("queued", False),
        ("queued", False),
        ("running", True),
    ]
    assert await dead.renew(["begun", "queued", "executed"]) == frozenset()
    with pytest.raises(LeaseLost):
        await dead.keep("executed", went_out(2))
    claims = [await live.claim(each) for each in ("queued", "executed")]
    assert [claim and claim.began for claim in claims] == [False, True]
    for each in (dead, live):
        await each.close()


@pytest.mark.parametrize("opened", EXPIRES, indirect=True)
async def test_a_run_that_was_claimed_by_hand_after_its_queue_is_queued_again_when_that_process_dies(
    opened: Open,
) -> None:
    dead, live = opened(lease_s=-1.0), opened(lease_s=0.5)
    await live.begin(record_of())
    await live.release("r", requeue=True)
    assert await dead.claim("r")
    assert await live.free_dead() == {"r"}
    assert await state(live) == ("queued", False)
    for each in (dead, live):
        await each.close()


async def test_one_process_at_a_time_is_alone(journal: Journal, rival: Journal) -> None:
    async with journal.alone("b") as first, rival.alone("b") as second, rival.alone("c") as other:
        assert (first, second, other) == (True, rival is journal, True)
    async with rival.alone("b") as after:
        assert after
