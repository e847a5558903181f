"""The database goes away while runs are active: what is on record is not asked again, and all goes on by itself."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from moa_mcp.errors import JournalError
from moa_mcp.events import AttemptFinished
from moa_mcp.journal.news import News
from moa_mcp.journal.postgres import PostgresJournal, connections, listening, writer
from moa_mcp.journal.spending import Commitment
from moa_mcp.values import Call, Completion, Place, Question
from tests.support.database import Cluster, rows
from tests.support.journals import CALLS, asked, config_of, record_of, runs_of, went_out
from tests.support.relay import Relay
from tests.support.starting import resume_run, start_run

pytestmark = pytest.mark.anyio
PATIENT = config_of(settings="defaults.hedge = false")
"""No second request is sent because the first one takes long."""
P = PATIENT.pipelines["p"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the driver knows no other


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A server that tests may stop."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
async def journal(own: Cluster) -> AsyncIterator[PostgresJournal]:
    journal = PostgresJournal(own.emptied())
    yield journal
    await journal.close()


def restart(cluster: Cluster) -> None:
    cluster.stop()
    cluster.start()


BREAKS: dict[str, Callable[[Cluster], None]] = {
    "restarted": restart,
    "crashed": Cluster.crash,
    "disconnected": Cluster.disconnect,
}


@pytest.mark.parametrize("how", BREAKS)
async def test_runs_go_on_by_themselves_after_an_outage_and_no_call_is_made_twice(
    own: Cluster, journal: PostgresJournal, how: str
) -> None:
    seen = Counter[tuple[str, Place]]()

    async def model(call: Call) -> Completion:
        seen[call.run_id, call.place] += 1
        if sum(seen.values()) == CALLS:
            await anyio.to_thread.run_sync(BREAKS[how], own)  # the other calls are answered meanwhile
        return Completion("An answer.", "p/m")

    async with runs_of(model, journal, PATIENT).open() as runs:
        begun = [await start_run(runs, P, Question("Why?")) for _ in range(4)]
        with anyio.fail_after(40):
            for run in begun:
                await run.ended.wait()
    assert [run.trace.status for run in begun] == ["complete"] * 4
    assert set(seen.values()) == {1}
    reading = PostgresJournal(own.shared)
    for run in begun:
        events = (await reading.events(run.run_id)).events
        assert sum(isinstance(each, AttemptFinished) for each in events) == CALLS
    await reading.close()


async def test_an_outage_that_lasts_ends_the_run_which_goes_on_later_without_asking_again(
    own: Cluster, journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENT_S", 0.2)
    monkeypatch.setattr(writer, "SHORT_S", 0.1)
    asked_for = list[Place]()

    async def model(call: Call) -> Completion:
        asked_for.append(call.place)
        if len(asked_for) == CALLS - 1:
            await anyio.to_thread.run_sync(own.stop)
        return Completion("An answer.", "p/m")

    async with runs_of(model, journal, PATIENT).open() as runs:
        run = await start_run(runs, P, Question("Why?"))
        with anyio.fail_after(40):
            await run.ended.wait()
        assert run.trace.status == "failed"
        assert "can't be used: connection refused; see whether the server runs" in str(run.trace.error)
        own.start()
        with anyio.fail_after(20):
            while (record := await journal.record(run.run_id)) is None or record.owned:  # noqa: ASYNC110  soon
                await anyio.sleep(0.01)
        before = len(asked_for)
        resumed = await resume_run(runs, run.run_id)
        with anyio.fail_after(40):
            await resumed.ended.wait()
    assert resumed.trace.status == "complete"
    assert len(asked_for[before:]) <= 2  # the one that could not be recorded, and the last one


async def test_an_event_whose_commit_is_not_acknowledged_is_stored_once(own: Cluster) -> None:
    url = own.emptied()
    with Relay(own.port) as relay:
        journal = PostgresJournal(url.replace(f":{own.port}/", f":{relay.port}/"))
        relay.cut_at = b"COMMIT\0"
        with anyio.fail_after(20):
            assert await journal.begin(record_of())
            assert await journal.begin(record_of("s"))
            for number in range(1, 4):
                relay.cut_at = b"COMMIT\0"
                journal.append("r", asked(number))
                await journal.keep("r", went_out(number))
            relay.cut_at = b"COMMIT\0"
            assert (await journal.commit_spending(Commitment("r", 60, 100))).total == 60
            relay.cut_at = b"COMMIT\0"
            await journal.finish("r", "failed")
            relay.cut_at = b"SELECT 1\0"
            assert await journal.claim("r") is not None
        assert relay.cuts == 7
        await journal.close()
    assert rows(url, "SELECT n FROM moa.events WHERE run_id = 'r' ORDER BY n") == [(n,) for n in range(1, 7)]


async def test_a_connection_that_falls_silent_is_replaced(own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_S", 0.3)
    monkeypatch.setattr(listening, "PING_S", 0.3)
    url = own.emptied()
    with Relay(own.port) as relay:
        journal = PostgresJournal(url.replace(f":{own.port}/", f":{relay.port}/"))
        await journal.begin(record_of())
        async with journal.news() as news:
            relay.silence()
            with anyio.fail_after(30):
                await journal.keep("r", went_out())
                async for each in news:
                    if each == News("missed"):
                        break
        assert len((await journal.events("r")).events) == 1
        await journal.close()


async def test_who_listens_is_told_that_news_may_be_missed_and_hears_again(
    own: Cluster, journal: PostgresJournal
) -> None:
    other = PostgresJournal(own.shared)
    async with journal.news() as news:
        own.disconnect()
        with anyio.fail_after(20):
            while await anext(aiter(news)) != News("missed"):
                pass
            await other.begin(record_of())
            while await anext(aiter(news)) != News("changed", "r"):
                pass
    await other.close()


async def test_what_nobody_waits_for_is_written_when_the_database_is_back(
    own: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENT_S", 0.2)
    monkeypatch.setattr(writer, "SHORT_S", 0.1)
    journal = PostgresJournal(own.emptied())
    await journal.begin(record_of())
    own.stop()
    journal.append("r", asked())
    with pytest.raises(JournalError):
        await journal.keep("r", went_out())
    with pytest.raises(JournalError):
        await journal.finish("r", "failed")
    with pytest.raises(JournalError):
        await journal.record("r")
    own.start()
    with anyio.fail_after(20):
        while (record := await journal.record("r")) is None or record.status != "failed":  # noqa: ASYNC110  soon
            await anyio.sleep(0.01)
    assert [event.kind for event in (await journal.events("r")).events] == ["call_started"]
    await journal.close()


async def test_a_journal_can_be_closed_while_the_database_is_away(
    own: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "CLOSING_S", 0.2)
    journal = PostgresJournal(own.emptied())
    await journal.begin(record_of())
    own.stop()
    journal.append("r", asked())
    with anyio.fail_after(20):
        await journal.close()
    own.start()
    assert "1 events could not be recorded" in caplog.text


@pytest.fixture
def small(own: Cluster) -> Iterator[Path]:
    """A disk of a few megabytes, with the texts of a database on it."""
    folder = own.folder / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        own.give(folder)
        own.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        rows(own.emptied(), "ALTER TABLE moa.texts SET TABLESPACE small")
        yield folder
        rows(own.shared, "TRUNCATE moa.texts")
        rows(own.shared, "ALTER TABLE moa.texts SET TABLESPACE pg_default")
        own.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_when_the_disk_is_full_nothing_is_told_as_recorded_and_all_goes_on_once_there_is_room(
    own: Cluster, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENT_S", 0.2)
    monkeypatch.setattr(writer, "SHORT_S", 0.1)
    other = small / "other"
    other.write_bytes(b"x" * 4_000_000)
    journal = PostgresJournal(own.shared)
    await journal.begin(record_of())
    kept = count()

    async def fill() -> None:
        for number in kept:
            await journal.keep("r", asked(number + 1, random.Random(number).randbytes(50_000).hex()))

    with pytest.raises(JournalError, match="the disk of the server is full; make room on it"):
        await fill()
    other.unlink()
    await journal.keep("r", asked(500, "again"))
    await journal.finish("r", "failed")
    assert len((await journal.events("r")).events) == next(kept)
    await journal.close()
