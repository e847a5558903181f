"""Old runs leave the journal by themselves, where something is run, and as the configuration says."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from moa_mcp.errors import JournalError
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import retention
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Question
from tests.support.journals import PANEL, asked, config_of, record_of, runs_of
from tests.support.starting import start_run

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


DAY_S = 86_400
P = PANEL.pipelines["p"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "FIRST_S", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


async def with_runs_of_age(path: Path, *days: int) -> None:
    """Put runs on record, each last touched so many days ago, and one of those ages that is driven."""
    journal = SQLiteJournal(path, lease_s=1000)
    for age in days:
        await journal.begin(record_of(f"{age} days"))
        await journal.keep(f"{age} days", asked(1, os.urandom(100_000).hex()))
        await journal.finish(f"{age} days", "complete")
    await journal.begin(record_of("driven"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE runs SET updated_at = ? - ? * CAST(run_id AS INTEGER)", (time.time(), DAY_S))
        db.execute("UPDATE runs SET updated_at = 1 WHERE run_id = 'driven'")
        db.commit()
    await journal.close()


class Watched(SQLiteJournal):
    """Tells when it has forgotten."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.forgotten = anyio.Event()

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        gone = await super().forget(older_than=older_than, beyond_bytes=beyond_bytes, dry=dry)
        self.forgotten.set()
        return gone


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ("", {"1 days", "89 days"}),
        ("journal.retention_days = 30", {"1 days"}),
        ('journal.retention_days = "forever"\njournal.retention_mb = 1', {"1 days", "89 days", "91 days", "400 days"}),
        ("journal.retention_days = 100\njournal.retention_mb = 1", {"1 days", "89 days", "91 days"}),
    ],
)
async def test_runs_that_are_too_old_go_once_something_is_run(path: Path, settings: str, left: set[str]) -> None:
    await with_runs_of_age(path, 1, 89, 91, 400)
    journal = Watched(path)
    with anyio.fail_after(10):
        async with runs_of(ScriptedModel(), journal, config_of(settings=settings)).open() as runs:
            run = await start_run(runs, P, Question("Why?"))
            await run.ended.wait()
            await journal.forgotten.wait()
            assert {record.run_id for record in await journal.records()} == left | {"driven", run.run_id}


async def test_a_process_that_ends_before_it_is_time_forgets_at_its_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "FIRST_S", 60.0)
    await with_runs_of_age(path, 1, 91)
    async with runs_of(ScriptedModel(), SQLiteJournal(path)).open() as runs:
        run = await start_run(runs, P, Question("Why?"))
        await run.ended.wait()
    left = await (journal := SQLiteJournal(path)).records()
    await journal.close()
    assert {record.run_id for record in left} == {"1 days", "driven", run.run_id}


async def test_the_oldest_runs_go_while_the_journal_is_larger_than_it_may_be(path: Path) -> None:
    await with_runs_of_age(path, *range(1, 21))
    journal = Watched(path)
    with anyio.fail_after(10):
        async with runs_of(ScriptedModel(), journal, config_of(settings="journal.retention_mb = 1")).open() as runs:
            run = await start_run(runs, P, Question("Why?"))
            await journal.forgotten.wait()
            left = {record.run_id for record in await journal.records()}
    assert {"driven", run.run_id, "1 days", "2 days", "3 days"} <= left
    assert not left & {f"{age} days" for age in range(11, 21)}


async def test_where_nothing_is_run_nothing_is_forgotten(path: Path) -> None:
    await with_runs_of_age(path, 400)
    async with runs_of(ScriptedModel(), journal := Watched(path)).open():
        await anyio.wait_all_tasks_blocked()
        assert not journal.forgotten.is_set()
        assert len(await journal.records()) == 2


async def test_where_runs_are_kept_forever_nothing_is_forgotten(path: Path) -> None:
    await with_runs_of_age(path, 400)
    with anyio.fail_after(10):
        config = config_of(settings='journal.retention_days = "forever"')
        async with runs_of(ScriptedModel(), journal := Watched(path), config).open() as runs:
            run = await start_run(runs, P, Question("Why?"))
            await run.ended.wait()
            await anyio.wait_all_tasks_blocked()
            assert not journal.forgotten.is_set()
            assert len(await journal.records()) == 3


class Failing(MemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.tried = anyio.Event()

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        del older_than, beyond_bytes, dry
        self.tried.set()
        raise JournalError("the journal can't be used")


async def test_a_journal_that_can_not_forget_is_told_of_and_disturbs_no_run(caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing()
    with anyio.fail_after(10):
        async with runs_of(ScriptedModel(), failing).open() as runs:
            run = await start_run(runs, P, Question("Why?"))
            await failing.tried.wait()
            await run.ended.wait()
    assert run.trace.status == "complete"
    assert "the journal can't be used" in caplog.text
