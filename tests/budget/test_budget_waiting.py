"""Runs begun at once under a cap that they share: what others only hold is waited for, what is spent is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from moa_mcp.errors import JournalError, ServerFailed, TimedOut
from moa_mcp.events import CallWaits, Event
from moa_mcp.journal import Claim, Journal, Page
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import NewRun, Run, Runs
from moa_mcp.server.results import progress
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Completion
from tests.budget.test_budget import WHY, ended, saying
from tests.support.clocks import jumping
from tests.support.days import days_ago, today
from tests.support.journals import record_of
from tests.support.model_server import ModelServer
from tests.support.nursery import Nursery
from tests.support.starting import ready, resume_run, start_run
from tests.support.tables import AGGREGATE, PROPOSE

pytestmark = pytest.mark.anyio

CAPS = ["max_cost_usd_per_day", "max_cost_usd_per_server"]
MANY = 80
COST = 8
"""What a run takes, in US dollars: four calls of a hundred tokens of prompt and as many of answer."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


async def at_once(runs: Runs, count: int) -> list[Run]:
    admitted = [
        await ready(runs, NewRun(pipeline=runs.config.pipelines["p"], question=WHY, seed=0)) for _ in range(count)
    ]
    return [await runs.start(each) for each in admitted]


async def in_turn(runs: Runs, count: int) -> list[Run]:
    """Begin runs one after the other, long before the first has ended."""
    begun: list[Run] = []
    for _ in range(count):
        begun += await at_once(runs, 1)
        await anyio.sleep(0.01)
    return begun


async def all_ended(begun: Sequence[Run]) -> list[Trace]:
    with anyio.fail_after(100_000):
        for run in begun:
            await run.ended.wait()
    return [run.trace for run in begun]


async def spending(journal: MemoryJournal | SQLiteJournal) -> Decimal:
    return Decimal(await journal.spending(today())) / 10**9


@pytest.mark.parametrize("cap", CAPS)
async def test_runs_begun_at_once_are_all_complete_where_one_after_another_fits(cap: str) -> None:
    provider, journal = saying(tokens=100), MemoryJournal()
    runs = provider.runs(f"{cap} = {MANY * COST + 31}", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        traces = await all_ended(await at_once(runs, MANY))
    assert Counter(trace.status for trace in traces) == {"complete": MANY}
    assert provider.billed == await spending(journal) == MANY * COST
    assert sum((trace.cost_usd or Decimal(0) for trace in traces), Decimal(0)) == MANY * COST


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("dollars", [40, 97, 150, 301])
async def test_as_many_runs_begun_at_once_are_answered_as_one_after_another(cap: str, dollars: int) -> None:
    statuses: list[Counter[str]] = []
    for together in (True, False):
        provider, journal = saying(tokens=100), MemoryJournal()
        runs = provider.runs(f"{cap} = {dollars}", PROPOSE, AGGREGATE, journal=journal)
        async with runs.open():
            begun = await at_once(runs, 40) if together else []
            while not together and len(begun) < 40:
                begun += await at_once(runs, 1)
                await all_ended(begun)
            traces = await all_ended(begun)
        assert provider.billed == await spending(journal) <= dollars
        refused = [trace.error or "" for trace in traces if trace.status == "failed"]
        assert all("spent by other runs" in error for error in refused)
        statuses.append(Counter(trace.status for trace in traces))
    assert statuses[0] == statuses[1]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_runs_of_several_processes_wait_for_each_other(tmp_path: Path) -> None:
    provider = saying(tokens=100, seconds=0.001)
    cap = f"max_cost_usd_per_day = {24 * COST + 31}"
    async with AsyncExitStack() as processes:
        begun: list[Run] = []
        for _ in range(3):
            journal = SQLiteJournal(tmp_path / "journal.sqlite")
            runs = await processes.enter_async_context(provider.runs(cap, PROPOSE, AGGREGATE, journal=journal).open())
            begun += await at_once(runs, 8)
        traces = await all_ended(begun)
        assert Counter(trace.status for trace in traces) == {"complete": 24}
        assert provider.billed == 24 * COST
    closed = SQLiteJournal(tmp_path / "journal.sqlite")
    assert await spending(closed) == provider.billed
    await closed.close()


async def test_a_run_says_that_it_waits_for_others_and_afterwards_that_it_did() -> None:
    provider = saying(tokens=100, seconds=5)
    runs = provider.runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE)
    async with runs.open():
        first, second, third = await in_turn(runs, 3)
        assert [progress(run.trace).partition(",")[0] for run in (second, third)] == [
            "waiting for other runs",
            "waiting for its turn under max_cost_usd_per_day = $60.00",
        ]
        await all_ended([first, second, third])
    assert not any("waited" in note for note in first.trace.notes)
    assert [note.partition(":")[0] for note in second.trace.notes] == ["waited 10 s"]
    assert second.trace.notes[0].endswith(" of max_cost_usd_per_day = $60.00")
    assert second.trace.waiting == ""


async def test_a_run_that_waits_can_be_cancelled_and_those_behind_it_go_on() -> None:
    provider, journal = saying(tokens=100, seconds=5), MemoryJournal()
    runs = provider.runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        first, second, third, fourth = await in_turn(runs, 4)
        for each in (second, third):
            await runs.cancel(each.run_id)
        traces = await all_ended([first, second, third, fourth])
    assert [trace.status for trace in traces] == ["complete", "cancelled", "cancelled", "complete"]
    assert provider.billed == await spending(journal) == 2 * COST


async def test_waiting_for_others_is_a_part_of_a_runs_time() -> None:
    provider, journal = saying(tokens=100, seconds=20), MemoryJournal()
    runs = provider.runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        (first,) = await at_once(runs, 1)
        await anyio.sleep(1)
        short, long = [await start_run(runs, runs.config.pipelines["p"], WHY, deadline_s=each) for each in (15, 75)]
        traces = await all_ended([first, short, long])
    assert [trace.status for trace in traces] == ["complete", "failed", "degraded"]
    assert traces[1].error is not None
    assert (
        "the deadline of 15 s passed while other runs held the rest of max_cost_usd_per_day = $60.00" in traces[1].error
    )
    assert await spending(journal) >= provider.billed  # a call that was stopped may have been paid


@pytest.mark.parametrize("dollars", [33, 36, 40, 45, 60])
async def test_a_call_beyond_what_its_run_was_granted_waits_for_the_other_runs(dollars: int) -> None:
    """It may have been paid: what was held for it stays spent, and the next attempt needs as much again."""
    statuses: list[Counter[str]] = []

    async def second(call: Call) -> Completion:
        attempts = [each for each in provider.calls if (each.run_id, each.place) == (call.run_id, call.place)]
        if call.agent == "z" and len(attempts) == 1:
            await anyio.sleep(1)
            raise TimedOut("took too long")
        return await plenty(call)

    for together in (True, False):
        provider = saying(tokens=100)
        plenty, provider.answer = provider.answer, second
        runs = provider.runs(f"max_cost_usd_per_server = {dollars}", PROPOSE, AGGREGATE)
        async with runs.open():
            begun = await in_turn(runs, 3) if together else []
            while not together and len(begun) < 3:
                begun += await at_once(runs, 1)
                await all_ended(begun)
            statuses.append(Counter(trace.status for trace in await all_ended(begun)))
        assert provider.billed <= dollars
    assert statuses[0] == statuses[1]


async def test_what_a_run_held_when_its_process_died_is_no_more_held_when_it_waits_in_another() -> None:
    provider, journal = saying(tokens=100, seconds=5), MemoryJournal()
    dead = provider.runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE, journal=journal)
    async with dead.open():
        left = await at_once(dead, 3)
        await anyio.sleep(7)
        for run in left:
            run.scope.cancel()
    for run in left:  # as a process leaves it that had no time to say what was spent
        await journal.commit_spending(Commitment(run.run_id, 19 * 10**9, None, 19 * 10**9))
    runs = provider.runs("max_cost_usd_per_day = 100", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        again = [await resume_run(runs, run.run_id) for run in left]
        traces = await all_ended(again)
    assert [trace.status for trace in traces] == ["complete"] * 3


async def test_a_run_that_is_refused_says_what_others_have_spent() -> None:
    provider, journal = saying(tokens=100), MemoryJournal()
    runs = provider.runs("max_cost_usd_per_day = 9", PROPOSE, AGGREGATE, journal=journal)
    await journal.commit_spending(Commitment("other", 8 * 10**9, None))
    refused = await ended(runs)
    assert refused.error is not None
    assert "max_cost_usd_per_day = $9.00 is too low ($8.00 spent by other runs)" in refused.error


class Late(MemoryJournal):
    """Tells of what is committed only long after it is on record."""

    async def commit_spending(self, wanted: Commitment) -> Committed:
        done = await super().commit_spending(wanted)
        with anyio.CancelScope(shield=wanted.cap is None):
            await anyio.sleep(1)
        return done


async def test_a_run_that_is_cancelled_while_its_budget_is_put_on_record_leaves_nothing_there() -> None:
    provider, journal = saying(tokens=100), Late()
    caps = "max_cost_usd_per_day = 60\nmax_cost_usd_per_server = 60"
    runs = provider.runs(caps, PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        for gone_s in (0.1, 0.5, 0.9):
            (run,) = await at_once(runs, 1)
            await anyio.sleep(gone_s)
            await runs.cancel(run.run_id)
            await all_ended([run])
            assert run.trace.status == "cancelled"
            assert provider.billed == 0
        assert await spending(journal) == provider.billed
        assert [trace.status for trace in await all_ended(await at_once(runs, 1))] == ["complete"]


class Forgetful(MemoryJournal):
    """Does not take what a run has spent at its end, until it is told to."""

    takes = False

    async def commit_spending(self, wanted: Commitment) -> Committed:
        if wanted.cap is None and wanted.held == 0 and not self.takes:
            raise JournalError("no room")
        return await super().commit_spending(wanted)


async def test_what_could_not_be_put_on_record_of_a_runs_end_is_when_the_next_begins() -> None:
    provider, journal = saying(tokens=100), Forgetful()
    runs = provider.runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        assert [trace.status for trace in await all_ended(await at_once(runs, 1))] == ["complete"]
        assert await spending(journal) > provider.billed
        journal.takes = True
        assert [trace.status for trace in await all_ended(await at_once(runs, 1))] == ["complete"]
    assert await spending(journal) == provider.billed == 2 * COST


class Thoughtful(MemoryJournal):
    """Takes long to tell what runs hold; meanwhile they have ended."""

    async def commit_spending(self, wanted: Commitment) -> Committed:
        done = await super().commit_spending(wanted)
        await anyio.sleep(0 if done.accepted else 100)
        return done


async def test_what_comes_free_while_it_is_looked_up_is_taken() -> None:
    provider = saying(tokens=100)
    runs = provider.runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE, journal=Thoughtful())
    async with runs.open():
        assert [trace.status for trace in await all_ended(await in_turn(runs, 2))] == ["complete"] * 2


class Dated(MemoryJournal):
    """Has a clock of its own, which is a day behind that of this process."""

    days_behind = 1

    def __init__(self) -> None:
        super().__init__()
        self.today = days_ago(self.days_behind)

    async def commit_spending(self, wanted: Commitment) -> Committed:
        return await super().commit_spending(wanted._replace(day=wanted.day or self.today))


async def test_a_run_that_waits_at_midnight_starts_on_the_new_day_by_the_clock_of_the_journal() -> None:
    provider, journal = saying(tokens=100, seconds=5), Dated()
    runs = provider.runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        first, second, third = await in_turn(runs, 3)
        assert [len({call.run_id for call in provider.calls}), provider.billed] == [1, 0]
        journal.today = today()
        await anyio.sleep(3)
        assert provider.billed == 0
        assert {call.run_id for call in provider.calls} == {first.run_id, second.run_id}
        await all_ended([first, second, third])
    assert await journal.spending(days_ago(1)) == COST * 10**9
    assert await journal.spending(today()) == 2 * COST * 10**9


class Behind(Dated):
    """Its clock, by which its runs happened, is a day behind that of this process."""

    async def events(self, run_id: str, after: int = 0) -> Page:
        page = await super().events(run_id, after)
        return page._replace(events=tuple(replace(each, at=each.at - 86_400) for each in page.events))


class Ahead(Dated):
    """Its clock is two days ahead of that of this process."""

    days_behind = -2


@pytest.mark.parametrize("cap", ["", "max_cost_usd_per_day = 60"])
@pytest.mark.parametrize("clock", [Dated, Behind, Ahead])
async def test_what_a_resumed_run_spends_counts_on_the_day_of_the_journal_once(cap: str, clock: type[Dated]) -> None:
    provider, journal = saying(tokens=100, seconds=0), clock()
    plenty = provider.fails_at("z", ServerFailed("no"))  # unpaid
    runs = provider.runs(cap, PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        (run,) = await all_ended(await at_once(runs, 1))
        assert await journal.spending(journal.today) == provider.billed * 10**9 == 6 * 10**9
        provider.answer = plenty
        assert [trace.status for trace in await all_ended([await resume_run(runs, run.run_id)])] == ["complete"]
    assert await journal.spending(journal.today) == provider.billed * 10**9 == 8 * 10**9


async def test_what_a_run_spends_is_on_record_though_a_cap_is_set_while_it_is_active() -> None:
    provider, journal = saying(tokens=100, seconds=5), MemoryJournal()
    runs = provider.runs("", PROPOSE, AGGREGATE, journal=journal)
    capped = provider.runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE)
    async with runs.open():
        begun = await at_once(runs, 1)
        await anyio.sleep(1)
        runs.use(capped.config, capped.backend)
        await all_ended(begun)
    assert await spending(journal) == provider.billed == COST


class Contested(MemoryJournal):
    """Another process is always the first to claim a run."""

    async def claim(self, run_id: str, *, max_runs: int | None = None) -> Claim | None:
        del run_id, max_runs
        return None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("why", ["its record is damaged", "its prompts were not stored", "another process resumes it"])
async def test_what_a_dead_process_held_counts_in_full_if_what_it_spent_is_unknown(why: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal: Journal = (
        Contested() if why.startswith("another") else SQLiteJournal(path, texts=not why.startswith("its prompts"))
    )
    await journal.begin(record_of())
    await journal.commit_spending(Commitment("r", 55 * 10**9, None, 55 * 10**9))
    await journal.release("r")
    runs = saying(tokens=100).runs("max_cost_usd_per_day = 60", PROPOSE, AGGREGATE, journal=journal)
    async with runs.open():
        (refused,) = await all_ended(await at_once(runs, 1))
        assert await journal.spending(today()) == 55 * 10**9
    assert refused.error is not None
    assert "max_cost_usd_per_day = $60.00 is too low ($55.00 spent by other runs)" in refused.error


@pytest.mark.parametrize("dollars", [30, 33, 36, 40, 45, 60])
async def test_runs_of_several_processes_that_need_more_of_the_day_than_granted_never_wait_for_each_other_for_ever(
    dollars: int,
) -> None:
    async def second(call: Call) -> Completion:
        attempts = [each for each in provider.calls if (each.run_id, each.place) == (call.run_id, call.place)]
        if len(attempts) == 1:
            await anyio.sleep(1)
            raise TimedOut("took too long")
        return await plenty(call)

    provider, journal = saying(tokens=100), MemoryJournal()
    plenty, provider.answer = provider.answer, second
    caps = f"max_cost_usd_per_day = {dollars}\nmax_cost_usd_per_server = {dollars}"
    async with AsyncExitStack() as processes:
        begun: list[Run] = []
        for _ in range(3):
            runs = await processes.enter_async_context(provider.runs(caps, PROPOSE, AGGREGATE, journal=journal).open())
            begun += await at_once(runs, 2)
        traces = await all_ended(begun)
    assert all(trace.status != "running" for trace in traces)
    assert provider.billed <= await spending(journal) <= dollars


def test_a_question_at_the_command_line_says_that_it_waits_for_what_another_process_holds(
    nursery: Nursery, tmp_path: Path
) -> None:
    config, path = tmp_path / "waits.toml", tmp_path / "journal.sqlite"

    async def hold() -> None:
        await other.begin(record_of())
        assert (await other.commit_spending(Commitment("r", 10**9, None, 10**9))).accepted

    async def give_up() -> None:
        await other.commit_spending(Commitment("r", 0, None))
        await other.finish("r", "complete")
        await other.close()

    with ModelServer() as models:
        config.write_text(PRICED.replace("URL", models.url))
        other = SQLiteJournal(path, lease_s=3600)  # nobody renews it while the command starts
        anyio.run(hold)
        arguments = ("ask", "one", "Why?", "--config", str(config), "--journal", str(path))
        with nursery.start(*arguments, environ={}) as process:
            first = process.stderr.readline()
            anyio.run(give_up)
            answer, rest = process.communicate()
            assert process.wait(10) == 0
    assert first == "The run is waiting for other runs, which hold $1.00 of max_cost_usd_per_day = $1.00.\n"
    assert answer
    assert "Traceback" not in rest


PRICED = """
budget.max_cost_usd_per_day = 1
models.a.routes = [{ model = "openai/a", api_base = "URL", usd_per_million = { prompt = 1, completion = 1 } }]
[pipelines.one]
steps = [{ step = "propose", agents = ["a"], max_tokens = 100 }]
"""


async def test_a_call_that_does_not_fit_its_budget_yet_says_that_it_waits_for_the_others() -> None:
    seen: list[Event] = []
    runs = saying(tokens=100, seconds=5).runs("", PROPOSE, AGGREGATE)
    async with runs.open():
        pipeline = runs.config.pipelines["p"]
        run = await start_run(runs, pipeline, WHY, max_cost_usd=Decimal(20), watch=seen.append)
        await all_ended([run])
    waits = [event.reason for event in seen if isinstance(event, CallWaits)]
    assert run.trace.answer is not None
    assert set(waits) == {"calls in progress to leave room in max_cost_usd = $20.00"}
