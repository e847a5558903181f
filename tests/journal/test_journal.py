"""What is true of every journal."""

from __future__ import annotations

import time
from secrets import token_hex
from typing import get_args

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from moa_mcp.errors import LeaseLost, RunNotFound, TooManyRuns
from moa_mcp.events import (
    PASSING,
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    CallWaits,
    Event,
    RunFinished,
    TextReceived,
)
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.values import Completion, Place, Status
from tests.support.days import today
from tests.support.journals import EVENTS, asked, record_of, went_out

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


LATER = time.time() + 10**6


async def test_a_run_that_begins_is_on_record_as_running_and_owned(journal: Journal) -> None:
    record = record_of()
    await journal.begin(record)
    assert await journal.record("r") == replace(record, owned=True)
    assert await journal.records() == (replace(record, owned=True),)
    assert (await journal.events("r")).events == ()


async def test_runs_that_changed_since_a_time_are_those_that_began_or_ended_or_were_claimed(journal: Journal) -> None:
    for run_id in ("old", "ended", "claimed", "new"):
        await journal.begin(replace(record_of(run_id), updated_at=1.0))
    await journal.finish("old", "failed")
    await journal.finish("claimed", "failed")
    (old,) = [each.updated_at for each in await journal.records() if each.run_id == "old"]
    since = max(each.updated_at for each in await journal.records()) + 0.001
    while time.time() < since:  # noqa: ASYNC110  only the clock tells it
        await anyio.sleep(0.001)
    await journal.finish("ended", "complete")
    assert await journal.claim("claimed")
    changed = [each.run_id for each in await journal.records(changed_since=since)]
    assert changed == ["claimed", "ended"]
    assert [each.run_id for each in await journal.records(changed_since=old)] == ["claimed", "ended", "old"]
    assert [each.run_id for each in await journal.records(changed_since=old, limit=1)] == ["claimed"]


async def test_a_run_that_never_began_is_unknown(journal: Journal) -> None:
    assert await journal.record("r") is None
    assert await journal.records() == ()
    for after in (0, 7):
        with pytest.raises(RunNotFound):
            await journal.events("r", after)
    assert await journal.claim("r") is None
    assert not await journal.cancel("r")
    assert await journal.renew(["r"]) == frozenset()
    journal.append("r", asked())
    with pytest.raises(LeaseLost):
        await journal.keep("r", went_out())
    await journal.finish("r", "complete")
    await journal.release("r")
    await journal.release("r", requeue=True)
    assert await journal.free_dead() == frozenset()
    assert await journal.record("r") is None


async def test_events_come_back_in_the_order_in_which_they_were_told_however_they_were(journal: Journal) -> None:
    told: list[Event] = []
    await journal.begin(record_of())
    for number in range(1, 20):
        told += [asked(number), went_out(number)]
        journal.append("r", told[-2])
        await journal.keep("r", told[-1])
    assert list((await journal.events("r")).events) == told


async def test_a_follower_gets_each_event_once_also_of_a_run_that_another_process_resumes(
    journal: Journal, rival: Journal
) -> None:
    await journal.begin(record_of())
    told, got, mark = list[Event](), list[Event](), 0

    async def follow() -> RunRecord:
        nonlocal mark
        events, mark, record = await rival.events("r", mark)
        got.extend(events)
        return record

    for number in range(1, 6):
        for event in exchange(number):
            await journal.keep("r", event)
            told.append(event)
            if number % 2:
                await follow()
        assert got == told or not number % 2
    await journal.finish("r", "cancelled")
    assert (await follow()).status == "cancelled"
    assert got == told
    assert await journal.claim("r")
    await journal.keep("r", went_out())
    assert (await follow()).status == "running"
    assert (got, (await rival.events("r", mark)).events) == ([*told, got[-1]], ())
    assert isinstance(got[-1], AttemptStarted)
    assert (await journal.events("r")).events == (*got,)


async def test_events_after_any_mark_are_those_that_came_later_whoever_asks(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of())
    told: list[Event] = []
    marks = {0: 0}
    for number in range(1, 4):
        for event in exchange(number):
            await journal.keep("r", event)
            told.append(event)
            marks[len(told)] = (await journal.events("r", marks[len(told) - 1])).mark
    for each in (journal, rival):  # the rival has followed nothing before
        for count, mark in reversed(marks.items()):
            page = await each.events("r", mark)
            assert (page.events, page.mark, page.record.owned) == (tuple(told[count:]), marks[len(told)], True)
    await journal.finish("r", "complete")
    for count, mark in marks.items():
        assert (await rival.events("r", mark)).events == tuple(told[count:])
    last = await rival.events("r", marks[len(told)])
    assert (last.events, last.mark, last.record.status) == ((), marks[len(told)], "complete")


async def test_a_deleted_run_has_no_events_to_follow_and_one_that_begins_anew_has_its_own(
    journal: Journal, rival: Journal
) -> None:
    for answer in ("the first answer", "another one, which is longer"):
        await journal.begin(record_of(created_at=float(len(answer))))
        mark = 0
        for event in exchange(1, answer):
            await journal.keep("r", event)
            events, mark, _ = await rival.events("r", mark)
            assert events == (event,)
        await journal.finish("r", "complete")
        await journal.forget(older_than=LATER)
        with pytest.raises(RunNotFound):
            await rival.events("r", mark)


def exchange(number: int, text: str = "It is so, as its prompt says.") -> tuple[Event, ...]:
    """Return the events of a call, of which later ones refer to earlier ones in a store."""
    prompt, place, answer = f"What is {number}?", Place(1, number), Completion(f"{number}: {text}", "p/a")
    finished = AttemptFinished(place=place, attempt=1, completion=answer, seconds=1.0)
    ended = CallFinished(place=place, completion=answer, seconds=1.0)
    quotes = asked(number + 5, answer.text)
    return (asked(number, prompt), went_out(number), finished, ended, quotes)


async def test_events_of_one_run_are_not_anothers(journal: Journal) -> None:
    await journal.begin(record_of("r"))
    await journal.begin(record_of("s"))
    async with anyio.create_task_group() as tasks:
        for number in range(1, 10):
            tasks.start_soon(journal.keep, "r", went_out(number))
            tasks.start_soon(journal.keep, "s", went_out(number + 100))
    assert {event.place.number for event in (await journal.events("r")).events if event.kind == "attempt_started"} == {
        *range(1, 10)
    }


async def test_a_piece_of_a_text_is_not_kept_since_the_whole_will_be(journal: Journal) -> None:
    await journal.begin(record_of())
    journal.append("r", TextReceived(place=Place(1, 1), text="Par"))
    journal.append("r", CallWaits(place=Place(1, 1), reason="a retry"))
    await journal.keep("r", went_out())
    assert [event.kind for event in (await journal.events("r")).events] == ["attempt_started"]


@pytest.mark.parametrize("status", ["complete", "degraded", "failed", "cancelled"])
async def test_a_run_that_finished_has_its_status_all_its_events_and_no_owner(journal: Journal, status: Status) -> None:
    await journal.begin(record_of())
    last = RunFinished(status=status, answer=None, error=None, seconds=1.0)
    journal.append("r", asked())
    journal.append("r", last)
    await journal.finish("r", status)
    record = await journal.record("r")
    assert record is not None
    assert (record.status, record.owned) == (status, False)
    assert ((await journal.events("r")).events)[-1] == last


@pytest.mark.parametrize(
    ("status", "free"), [("complete", False), ("degraded", False), ("failed", True), ("cancelled", True)]
)
async def test_a_run_that_ended_can_be_claimed_unless_it_has_its_answer(
    journal: Journal, rival: Journal, status: Status, free: bool
) -> None:
    await journal.begin(record_of())
    await journal.finish("r", status)
    assert (await rival.claim("r") is not None) is free
    record = await journal.record("r")
    assert record is not None
    assert (record.status, record.owned) == (("running", True) if free else (status, False))


async def test_a_run_that_a_living_process_drives_can_not_be_claimed(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of())
    assert await rival.claim("r") is None
    assert await journal.claim("r") is None


async def test_a_run_that_was_released_is_unfinished_and_anybodys_at_once(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of())
    await journal.release("r")
    left = await rival.record("r")
    assert left is not None
    assert (left.status, left.owned) == ("running", False)
    assert await rival.claim("r")
    await rival.keep("r", went_out())
    assert [event.kind for event in (await rival.events("r")).events] == ["attempt_started"]


async def test_of_many_that_claim_a_run_at_once_one_gets_it(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of())
    await journal.release("r")
    claims = await anyio.amap(lambda each: each.claim("r"), [journal, rival] * 10)
    assert sum(each is not None for each in claims) == 1


async def test_renewing_tells_which_runs_are_still_ones_own(journal: Journal) -> None:
    for run_id in ("mine", "ended", "released"):
        await journal.begin(record_of(run_id))
    await journal.finish("ended", "complete")
    await journal.release("released")
    assert await journal.renew(["mine", "ended", "released", "unknown"]) == {"mine"}


async def test_an_owner_learns_of_a_cancellation_when_it_renews_and_can_write_no_more(
    journal: Journal, rival: Journal
) -> None:
    await journal.begin(record_of())
    await journal.keep("r", went_out(1))
    assert await rival.cancel("r")
    assert await journal.renew(["r"]) == frozenset()
    with pytest.raises(LeaseLost):
        await journal.keep("r", went_out(2))
    journal.append("r", asked(3))
    await journal.finish("r", "complete")
    record = await journal.record("r")
    assert record is not None
    assert (record.status, record.owned) == ("cancelled", False)
    assert (await journal.events("r")).events == ((await rival.events("r")).events)
    (kept,) = (await journal.events("r")).events
    assert kept.kind == "attempt_started"


@pytest.mark.parametrize("status", ["complete", "degraded", "failed", "cancelled"])
async def test_a_run_that_ended_can_not_be_cancelled(journal: Journal, rival: Journal, status: Status) -> None:
    await journal.begin(record_of())
    await journal.finish("r", status)
    assert not await rival.cancel("r")
    record = await journal.record("r")
    assert record is not None
    assert record.status == status


async def test_records_come_newest_first_and_as_many_as_are_wanted(journal: Journal) -> None:
    for number in range(5):
        await journal.begin(record_of(f"r{number}", created_at=float(number // 2)))
    assert [record.run_id for record in await journal.records()] == ["r4", "r3", "r2", "r1", "r0"]
    assert [record.run_id for record in await journal.records(limit=2)] == ["r4", "r3"]


async def test_forgetting_by_age_spares_what_is_young_and_what_is_driven(journal: Journal) -> None:
    for run_id in ("ended", "driven", "left"):
        await journal.begin(record_of(run_id))
        await journal.keep(run_id, went_out())
    await journal.finish("ended", "complete")
    await journal.release("left")
    assert await journal.forget(older_than=1.0) == 0
    assert await journal.forget() == 0
    assert await journal.forget(older_than=LATER, dry=True) == 2
    assert len(await journal.records()) == 3
    assert await journal.forget(older_than=LATER) == 2
    assert [record.run_id for record in await journal.records()] == ["driven"]
    with pytest.raises(RunNotFound):
        await journal.events("ended")
    await journal.keep("driven", went_out(2))


async def test_what_runs_commit_to_spend_on_a_day_is_summed_over_processes(journal: Journal, rival: Journal) -> None:
    assert await journal.spending(today()) == 0
    assert await journal.commit_spending(Commitment("r", 60, 100)) == Committed(
        accepted=True, day=today(), total=60, held=0
    )
    assert await rival.commit_spending(Commitment("s", 40, 100)) == Committed(
        accepted=True, day=today(), total=100, held=0
    )
    earlier = await rival.commit_spending(Commitment("s", 10**15, None, day="2001-01-01"))
    assert earlier == Committed(accepted=True, day="2001-01-01", total=10**15, held=0)
    assert await journal.spending(today()) == 100
    assert await rival.spending("2001-01-01") == 10**15


async def test_what_the_runs_of_a_caller_have_committed_is_told_apart_from_others(
    journal: Journal, rival: Journal
) -> None:
    for run_id, caller in (("a", "alice"), ("b", "bob"), ("c", "alice"), ("d", "alice")):
        await journal.begin(replace(record_of(run_id), caller=caller))
    await journal.finish("d", "complete")
    for run_id, amount, held in (("a", 60, 50), ("b", 7, 7), ("c", 1, 0), ("d", 5, 3)):
        await journal.commit_spending(Commitment(run_id, amount, None, held))
    await journal.commit_spending(Commitment("a", 1000, None, day="2001-01-01"))
    spent = {caller: await rival.spending(today(), caller) for caller in ("alice", "bob", "carol")}
    assert spent == {"alice": 66, "bob": 7, "carol": 0}
    assert await rival.held(today(), caller="alice") == {"a": 50}
    assert await rival.held(today(), caller="carol") == {}
    await journal.forget(older_than=LATER)
    assert await rival.spending(today(), "alice") == 66


async def test_a_caller_has_so_many_active_runs_at_most_whoever_begins_or_claims_them_at_once(
    journal: Journal, rival: Journal
) -> None:
    for run_id in ("left", "ended", "other"):
        await journal.begin(replace(record_of(run_id), caller="" if run_id == "other" else "alice"))
    await journal.release("left")
    await journal.finish("ended", "complete")

    async def begin(number: int) -> bool:
        owner, record = (journal, rival)[number % 2], replace(record_of(f"r{number:02}"), caller="alice")
        try:
            return await owner.begin(record, queued=number % 3 == 0, max_runs=3)
        except TooManyRuns:
            assert await owner.record(record.run_id) is None
            return False

    assert (await anyio.amap(begin, range(12))).count(True) == 3
    active = sorted(each.run_id for each in await journal.records(caller="alice") if each.is_active)
    with pytest.raises(TooManyRuns) as refused:
        await rival.claim("left", max_runs=3)
    assert str(refused.value) == str(TooManyRuns(3, active))
    assert await rival.begin(replace(record_of("bob"), caller="bob"), max_runs=1)
    assert await rival.begin(replace(record_of("local"), caller=""), max_runs=1)
    await journal.cancel(active[1])
    assert await rival.claim("left", max_runs=3)


async def test_the_cap_of_a_caller_and_that_of_the_day_are_checked_at_once(journal: Journal, rival: Journal) -> None:
    for run_id, caller in (("a", "alice"), ("b", "bob"), ("c", "alice"), ("d", "")):
        await journal.begin(replace(record_of(run_id), caller=caller))
    assert (await journal.commit_spending(Commitment("a", 60, 100, 50, caller_cap=70))).accepted
    assert (await journal.commit_spending(Commitment("b", 20, 100, 5, caller_cap=20))).accepted
    of_alice = Committed(accepted=False, day=today(), total=60, held=50, by_caller=True)
    assert await rival.commit_spending(Commitment("c", 11, 100, caller_cap=70)) == of_alice
    assert await rival.commit_spending(Commitment("c", 21, 100, caller_cap=70)) == of_alice  # and too much for the day
    of_all = Committed(accepted=False, day=today(), total=80, held=55)
    assert await rival.commit_spending(Commitment("c", 21, 100, caller_cap=90)) == of_all
    assert (await rival.commit_spending(Commitment("d", 20, 100, caller_cap=1))).accepted  # it has no caller
    assert (await journal.commit_spending(Commitment("a", 55, 10, caller_cap=10))).accepted  # it shrinks
    assert await rival.spending(today(), "alice") == 55


async def test_of_the_many_runs_of_a_caller_that_commit_at_once_as_many_are_accepted_as_fit(
    journal: Journal, rival: Journal
) -> None:
    for number in range(20):
        await journal.begin(replace(record_of(f"r{number}"), caller="alice"))

    async def commit(number: int) -> bool:
        wanted = Commitment(f"r{number}", 10, 1000, caller_cap=55)
        return (await (journal, rival)[number % 2].commit_spending(wanted)).accepted

    assert sum(await anyio.amap(commit, range(20))) == 5
    assert await rival.spending(today(), "alice") == 50


async def test_a_run_that_waits_for_the_budget_of_its_caller_stands_before_the_callers_other_runs_alone(
    journal: Journal, rival: Journal
) -> None:
    async def accepts(owner: Journal, run_id: str, amount: int, cap: int | None = None) -> bool:
        wanted = Commitment(run_id, amount, cap, caller_cap=100, in_turn=True)
        return (await owner.commit_spending(wanted)).accepted

    for run_id, caller, owner in (
        ("holds", "alice", journal),
        ("large", "alice", journal),
        ("small", "alice", rival),
        ("other", "bob", rival),
    ):
        await owner.begin(replace(record_of(run_id), caller=caller))
    assert await accepts(journal, "holds", 40)
    assert not await accepts(journal, "large", 90)
    assert not await accepts(rival, "small", 10)
    assert await accepts(rival, "other", 90, 200)
    assert await accepts(journal, "holds", 0)
    assert not await accepts(rival, "small", 10)
    assert not await accepts(journal, "large", 90, 150)  # of the day; it waits in the line of all now
    assert await accepts(rival, "small", 10)  # without a cap of the day, that line does not matter
    assert await accepts(rival, "other", 0)
    assert await accepts(journal, "large", 90, 150)


async def test_a_commitment_that_would_pass_the_cap_of_the_day_is_refused_unless_it_shrinks(journal: Journal) -> None:
    async def accepts(run_id: str, nanodollars: int, cap: int | None) -> bool:
        return (await journal.commit_spending(Commitment(run_id, nanodollars, cap))).accepted

    assert await accepts("r", 60, 100)
    assert await journal.commit_spending(Commitment("s", 41, 100)) == Committed(
        accepted=False, day=today(), total=60, held=0
    )
    assert await journal.spending(today()) == 60
    assert await accepts("r", 50, 10)  # the cap was lowered meanwhile
    assert await accepts("r", 50, 10)
    assert not await accepts("r", 51, 10)
    assert await journal.spending(today()) == 50
    assert await accepts("s", 50, 100)
    assert await accepts("r", 51, None)
    assert await journal.spending(today()) == 101


async def test_of_many_that_commit_at_once_the_cap_lets_through_as_many_as_fit(
    journal: Journal, rival: Journal
) -> None:
    async def commit(number: int) -> bool:
        return (await (journal, rival)[number % 2].commit_spending(Commitment(f"r{number}", 10, 55))).accepted

    assert sum(await anyio.amap(commit, range(20))) == 5
    assert await rival.spending(today()) == 50


async def test_what_others_hold_is_told_and_what_nobody_can_release_any_more(journal: Journal, rival: Journal) -> None:
    for run_id, owner in (("r", journal), ("s", rival), ("t", rival), ("u", rival), ("v", rival)):
        await owner.begin(record_of(run_id))
        await owner.commit_spending(Commitment(run_id, 50, None, 30))
    await rival.release("t")
    await journal.cancel("u")
    await rival.release("v", requeue=True)
    assert (await journal.commit_spending(Commitment("r", 60, None, 40))).held == 30
    assert (await rival.commit_spending(Commitment("s", 120, 200, 0))).held == 40
    assert await journal.held(today()) == {"r": 40, "s": 30}
    assert await journal.held(today(), dead=True) == {"t": 30, "u": 30}
    assert await journal.held("2001-01-01") == {}


async def test_runs_that_commit_in_turn_are_accepted_in_the_order_in_which_they_were_refused(
    journal: Journal, rival: Journal
) -> None:
    async def accepts(owner: Journal, run_id: str, nanodollars: int, *, in_turn: bool = True) -> bool:
        return (await owner.commit_spending(Commitment(run_id, nanodollars, 100, in_turn=in_turn))).accepted

    for run_id, owner in (("large", journal), ("small", rival), ("holds", journal), ("later", rival)):
        await owner.begin(record_of(run_id))
    assert await accepts(journal, "holds", 40)
    assert not await accepts(journal, "large", 90)
    assert not await accepts(rival, "small", 10)  # it would fit
    assert await accepts(journal, "holds", 50, in_turn=False)
    assert await accepts(rival, "later", 0)  # nothing has to be free for it
    assert await accepts(journal, "holds", 1)
    assert not await accepts(rival, "small", 10)
    assert await accepts(journal, "large", 90)
    assert not await accepts(rival, "later", 10)  # it is behind the small one
    assert await accepts(rival, "small", 9)
    assert await accepts(journal, "large", 50)
    assert await accepts(rival, "later", 10)


@pytest.mark.parametrize("how", ["gives up", "ends", "is cancelled", "is left", "is claimed", "is forgotten"])
async def test_a_run_that_no_longer_waits_lets_those_behind_it_pass(journal: Journal, rival: Journal, how: str) -> None:
    for run_id, owner in (("first", journal), ("second", rival)):
        await owner.begin(record_of(run_id))
    await journal.commit_spending(Commitment("other", 50, None))
    assert not (await journal.commit_spending(Commitment("first", 90, 100, in_turn=True))).accepted
    assert not (await rival.commit_spending(Commitment("second", 10, 100, in_turn=True))).accepted
    match how:
        case "gives up":
            await journal.commit_spending(Commitment("first", 0, None))
        case "ends":
            await journal.finish("first", "complete")
        case "is cancelled":
            await rival.cancel("first")
        case _:
            await journal.release("first")
    if how == "is forgotten":
        await rival.forget(older_than=LATER)
    if how == "is claimed" and journal is not rival:  # by another process, in which it has not asked for anything yet
        await rival.claim("first")
    assert (await rival.commit_spending(Commitment("second", 10, 100, in_turn=True))).accepted


async def test_what_a_forgotten_run_spent_counts_on_and_goes_when_its_day_is_long_past(journal: Journal) -> None:
    await journal.begin(record_of())
    for day in (today(), "2001-01-01"):
        await journal.commit_spending(Commitment("r", 5, None, day=day))
    await journal.finish("r", "complete")
    assert await journal.forget(older_than=LATER, dry=True) == 1
    assert await journal.spending("2001-01-01") == 5
    assert await journal.forget(older_than=LATER) == 1
    assert (await journal.spending(today()), await journal.spending("2001-01-01")) == (5, 0)


def test_every_type_of_event_that_is_kept_has_its_strategy() -> None:
    assert {*EVENTS, *PASSING} == {*get_args(Event)}


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.tuples(*EVENTS.values()))
async def test_events_of_every_type_come_back_as_they_were_told(journal: Journal, told: tuple[Event, ...]) -> None:
    run_id = token_hex(8)
    await journal.begin(record_of(run_id))
    for event in told[:-1]:
        journal.append(run_id, event)
    await journal.keep(run_id, told[-1])
    assert (await journal.events(run_id)).events == told


async def test_in_memory_only_the_latest_finished_runs_are_kept() -> None:
    journal = MemoryJournal(keep=1)
    for run_id in ("0001", "0002", "0003"):
        await journal.begin(record_of(run_id))
    for run_id in ("0001", "0002"):
        await journal.finish(run_id, "complete")
    assert {each.run_id for each in await journal.records()} == {"0002", "0003"}
