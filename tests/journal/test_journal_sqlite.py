"""The journal as a file: who can read it, who writes to it at once, what is in it, and what happens when it fails."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from msgspec.structs import replace

from moa_mcp.config import parse
from moa_mcp.errors import STOPPED, AnswerEmpty, CallError, JournalError, LeaseLost, RunNotResumable, ServerFailed
from moa_mcp.events import AttemptFinished, CallFinished, CallStarted, Event, RunStarted, StepFinished, StepStarted
from moa_mcp.journal import Claim, owners
from moa_mcp.journal.spending import Commitment
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.journal.sqlite.schema import MIGRATIONS
from moa_mcp.providers.backend import real
from moa_mcp.runs import Run, Runs
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Answer, Call, Completion, Place, Question, Usage
from tests.support.journals import PANEL, asked, config_of, record_of, runs_of, went_out
from tests.support.model_server import ModelServer, Status
from tests.support.starting import resume_run, start_run
from tests.support.tables import AGGREGATE, PROPOSE, pipe

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


P = PANEL.pipelines["p"]
BEGUN = RunStarted(run_id="r", pipeline="p", question=Question("Why?"), seed=1, steps=("propose",))
ONE_TRY = config_of(settings="limits.attempts = 1")
SOLO = '{ step = "propose", agents = ["a"] }'
PASSPHRASE = "quartz lantern meadow"
KEY = "sk-4f9a2c7be1d84f6a93"
SPOKEN = Question("a marmalade question", "a walrus context", "a zeppelin system")
WORDS = ("marmalade", "walrus", "zeppelin", "pomegranate", "obsidian", "tangerine", "periscope")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "journal.sqlite"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[SQLiteJournal]:
    journal = SQLiteJournal(path)
    yield journal
    await journal.close()


def look(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def everything(path: Path) -> bytes:
    """Return all bytes of the file and of those beside it, and its texts as they were before they were compressed."""
    raw = b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))
    return raw + b"".join(zlib.decompress(body) for (body,) in look(path, "SELECT body FROM texts WHERE packed"))


# Its file


@pytest.mark.skipif(sys.platform == "win32", reason="has no such modes")
async def test_nobody_else_can_read_it(journal: SQLiteJournal, path: Path) -> None:
    await journal.begin(record_of())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"journal.sqlite": 0o600, "journal.sqlite-wal": 0o600, "journal.sqlite-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_what_one_process_wrote_the_next_one_reads(path: Path) -> None:
    for expected in ((), ("r",)):
        journal = SQLiteJournal(path)
        assert tuple(record.run_id for record in await journal.records()) == expected
        if not expected:
            await journal.begin(record_of())
        await journal.close()


async def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.touch()
    journal = SQLiteJournal(path)
    await journal.begin(record_of())
    await journal.close()
    assert look(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def broken(path: Path, remedy: str) -> None:
    with pytest.raises(JournalError) as caught:
        SQLiteJournal(path)
    assert remedy in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_of_a_newer_version_is_left_as_it_is_and_its_version_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    broken(path, "newer moa-mcp (version 99); update moa-mcp, or use another file with --journal")
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"This is my diary. " * 100, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(content)
    broken(path, "move it away")
    assert path.read_bytes() == content


def test_a_folder_can_not_be_a_journal(tmp_path: Path) -> None:
    broken(tmp_path, "--journal PATH")


def test_a_place_below_a_file_can_not_hold_a_journal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    broken(tmp_path / "file" / "journal.sqlite", "--journal PATH")


async def test_a_file_that_was_damaged_while_open_says_so(journal: SQLiteJournal, path: Path) -> None:
    await journal.begin(record_of())
    await journal.keep("r", went_out())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE events SET body = '['")
    with pytest.raises(JournalError, match="the record of run r can't be read: it is damaged"):
        await journal.events("r")


async def test_a_journal_that_is_closed_refuses_rather_than_waits(path: Path) -> None:
    journal = SQLiteJournal(path)
    await journal.close()
    await journal.close()
    with anyio.fail_after(5), pytest.raises(JournalError, match="closed"):
        await journal.records()


async def test_closing_writes_what_is_still_to_be_written(path: Path) -> None:
    journal = SQLiteJournal(path)
    await journal.begin(record_of())
    for number in range(1000):
        journal.append("r", asked(number))
    await journal.close()
    again = SQLiteJournal(path)
    assert len((await again.events("r")).events) == 1000
    await again.close()


# Many writers


def process(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


WRITER = """
import sys, anyio
from pathlib import Path
from moa_mcp.journal import Claim, owners
from moa_mcp.journal.sqlite import SQLiteJournal
from tests.support.journals import record_of, went_out, asked

async def run(journal, run_id):
    await journal.begin(record_of(run_id))
    for number in range(1, 21):
        journal.append(run_id, asked(number, f"{run_id} {number}"))
        await journal.keep(run_id, went_out(number))
    await journal.finish(run_id, "complete")

async def main():
    sys.stdin.readline()
    journal = SQLiteJournal(Path(sys.argv[1]))
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(run, journal, f"{sys.argv[2]}-{number}")
    await journal.close()

anyio.run(main)
"""


async def test_processes_that_write_at_once_lose_nothing_and_meet_no_error(path: Path) -> None:
    count = 3
    writers = [process(WRITER, path, number) for number in range(count)]
    for writer in writers:  # they wait for a line, so that all find no file yet
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    said = [writer.communicate(timeout=20) for writer in writers]
    assert said == [("", "")] * count
    journal = SQLiteJournal(path)
    records = await journal.records()
    assert {(record.status, record.owned) for record in records} == {("complete", False)}
    assert len(records) == count * 8
    for record in records:
        events = (await journal.events(record.run_id)).events
        numbers = [event.place.number for event in events if event.kind in {"call_started", "attempt_started"}]
        assert numbers == [number for number in range(1, 21) for _ in range(2)]
    await journal.close()


async def test_what_waits_while_a_transaction_is_written_goes_into_the_next_one_together(
    journal: SQLiteJournal,
) -> None:
    for number in range(100):
        await journal.begin(record_of(f"r{number}"))
    free = threading.Event()
    statements: list[str] = []
    journal._file.writer._connection.set_trace_callback(statements.append)
    journal._file.writer.soon(lambda _: free.wait(5))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(journal.keep, f"r{number}", went_out())
            await anyio.wait_all_tasks_blocked()
            free.set()
    assert statements.count("COMMIT") <= 2
    assert sum(statement.startswith("INSERT INTO events") for statement in statements) <= 2
    assert [len((await journal.events(f"r{number}")).events) for number in range(100)] == [1] * 100


async def test_a_writer_that_is_refused_does_not_hold_up_others_in_its_transaction(journal: SQLiteJournal) -> None:
    await journal.begin(record_of("mine"))
    refused: list[str] = []

    async def keep(run_id: str) -> None:
        try:
            await journal.keep(run_id, went_out())
        except LeaseLost:
            refused.append(run_id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep, "mine")
        tasks.start_soon(keep, "others")
    assert refused == ["others"]
    assert len((await journal.events("mine")).events) == 1


async def test_what_is_cancelled_while_it_is_put_on_record_is_on_record_and_leaves_the_others_their_turn(
    journal: SQLiteJournal,
) -> None:
    await journal.begin(record_of())
    free = threading.Event()
    journal._file.writer.soon(lambda _: free.wait(5))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.keep, "r", went_out(1))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
            free.set()
        await journal.keep("r", went_out(2))
    assert len((await journal.events("r")).events) == 2


# Owners

OWNER = """
import os, sys, anyio
from pathlib import Path
from moa_mcp.journal import Claim, owners
from moa_mcp.journal.sqlite import SQLiteJournal
from tests.support.journals import record_of, went_out

async def main():
    journal = SQLiteJournal(Path(sys.argv[1]), lease_s=1000)
    await journal.begin(record_of())
    await journal.keep("r", went_out())
    print("driven", flush=True)
    sys.stdin.readline()
    os._exit(9)

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the lease alone tells")
async def test_a_run_is_free_at_once_when_its_process_is_dead_and_not_before(
    journal: SQLiteJournal, path: Path
) -> None:
    with process(OWNER, path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "driven\n"
        assert not await journal.claim("r")
        driven = await journal.record("r")
        owner.communicate("\n", timeout=5)
    left = await journal.record("r")
    assert driven is not None
    assert left is not None
    assert (driven.owned, left.owned) == (True, False)
    assert await journal.claim("r")
    assert len((await journal.events("r")).events) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the lease alone tells")
async def test_a_run_of_a_process_that_ended_is_free_even_if_nobody_asked_how_it_did(
    journal: SQLiteJournal, path: Path
) -> None:
    with process(OWNER, path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "driven\n"
        owner.kill()
        await anyio.to_thread.run_sync(os.waitid, os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
        assert await journal.claim("r")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the lease alone tells")
@pytest.mark.parametrize(
    ("owner", "held"),
    [
        ("{space}:{pid}:{start}:x", True),  # another journal of this process
        ("{space}:{pid}:1:x", False),  # its number is another process's now
        ("{space}:99999999:{start}:x", False),
        ("elsewhere/1:99999999:{start}:x", True),  # a container with numbers of its own, or another machine
        (":99999999::x", True),  # from where processes can't be told apart
        ("host:99999999:x", True),  # as version 1 wrote it
    ],
)
async def test_an_owner_is_taken_for_dead_only_where_it_would_be_seen_if_it_lived(
    journal: SQLiteJournal, path: Path, owner: str, held: bool
) -> None:
    await journal.begin(record_of())
    ((me,),) = look(path, "SELECT owner FROM runs")
    space, pid, start, _ = me.split(":")
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE runs SET owner = ?", (owner.format(space=space, pid=pid, start=start),))
        db.commit()
    assert (await journal.claim("r") is None) is held


async def test_where_processes_can_not_be_told_apart_the_lease_alone_tells(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "_PROC", tmp_path)
    for run_id, lease_s, free in (("held", 1000.0, False), ("left", -1.0, True)):
        journal = SQLiteJournal(path, lease_s=lease_s)
        await journal.begin(record_of(run_id))
        assert (await journal.claim(run_id) is not None) is free
        await journal.close()


async def test_of_a_run_that_another_process_cancelled_nothing_is_under_way(path: Path) -> None:
    here, there = SQLiteJournal(path), SQLiteJournal(path)
    await here.begin(record_of())
    for event in (BEGUN, StepStarted(step=1, step_kind="propose"), asked(), went_out()):
        await here.keep("r", event)
    async with runs_of(ScriptedModel(), there).open() as runs:
        driven = await runs.trace("r")
        await runs.cancel("r")
        cancelled = await runs.trace("r")
    await here.close()
    (before,), (after,) = (trace.steps[0].calls[0].attempts for trace in (driven, cancelled))
    assert (driven.status, driven.seconds, before.failure) == ("running", None, None)
    assert (cancelled.status, cancelled.interrupted, cancelled.answer) == ("cancelled", False, None)
    assert after.failure == STOPPED
    assert cancelled.cost_usd is None  # it may have been paid for
    assert cancelled.seconds is not None


async def test_a_run_whose_lease_ran_out_is_free_even_if_its_process_lives(path: Path) -> None:
    asleep, awake = SQLiteJournal(path, lease_s=-1), SQLiteJournal(path, lease_s=0.2)
    await asleep.begin(record_of())
    with anyio.fail_after(5):
        assert await awake.claim("r")
    assert await asleep.renew(["r"]) == frozenset()
    with pytest.raises(LeaseLost):
        await asleep.keep("r", went_out())
    await asleep.finish("r", "failed")
    await asleep.release("r")
    record = await awake.record("r")
    assert record is not None
    assert (record.status, record.owned) == ("running", True)
    await asleep.close()
    await awake.close()


async def test_a_run_whose_lease_ran_out_because_the_clock_was_set_is_not_free_when_its_owner_gives_a_sign_of_life(
    journal: SQLiteJournal, path: Path
) -> None:
    await journal.begin(record_of())
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE runs SET lease_until = 1")
        db.commit()
    rival = SQLiteJournal(path)
    claims: list[Claim | None] = []

    async def claim() -> None:
        claims.append(await rival.claim("r"))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(claim)
            await anyio.wait_all_tasks_blocked()
            await journal.renew(["r"])
    await rival.close()
    assert claims == [None]


async def test_a_lease_that_is_renewed_does_not_run_out(journal: SQLiteJournal, path: Path) -> None:
    await journal.begin(record_of())
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE runs SET lease_until = 1")
        db.commit()
    assert await journal.renew(["r"]) == {"r"}
    ((until,),) = look(path, "SELECT lease_until FROM runs")
    assert until > time.time()


# What is in it


async def test_a_text_is_kept_once_however_often_it_is_said(journal: SQLiteJournal, path: Path) -> None:
    for run_id in ("r", "s"):
        await journal.begin(record_of(run_id))
        for number in range(1, 7):
            await journal.keep(run_id, asked(number, "The same long prompt. " * 100))
    assert look(path, "SELECT count(*) FROM texts") == [(1,)]
    assert look(path, "SELECT count(*), max(length(body)) < 300 FROM events") == [(12, 1)]


async def test_an_answer_is_kept_in_the_event_that_brings_it_and_told_by_all_that_follow(
    journal: SQLiteJournal, path: Path
) -> None:
    answers = [Completion(text, "p/a", usage=Usage(5, 4)) for text in ("Because.", "So. " * 9_000, "half \ud83d")]
    several = Completion("First.", "p/a", others=(Completion("Second.", "p/a"),))
    told: list[Event] = []
    for number, completion in enumerate((*answers, several), 1):
        place = Place(1, number)
        told += [
            AttemptFinished(place=place, attempt=2, completion=completion, seconds=1.0),
            CallFinished(place=place, completion=completion, seconds=1.5),
        ]
    told.append(CallFinished(place=Place(1, 1), completion=answers[0].noted("asked again"), seconds=2.0))
    given = tuple(Answer(each.text, "a", Place(1, 1)) for each in (*answers, several, *several.others))
    told.append(StepFinished(step=1, answers=given, notes=(), seconds=2.0))
    await journal.begin(record_of())
    await journal.keep("r", told[0])
    for event in told[1:]:
        journal.append("r", event)
    assert (await journal.events("r")).events == tuple(told)
    assert look(path, "SELECT count(*) FROM texts") == [(3,)]  # the long one, the half one and the note
    assert [body.count("Because.") for (body,) in look(path, "SELECT group_concat(body) FROM events")] == [1]


async def test_a_run_can_be_read_though_an_answer_that_others_tell_of_could_not_be_written(
    journal: SQLiteJournal, path: Path
) -> None:
    answered = Completion("Because.", "p/a")
    await journal.begin(record_of())
    await journal.keep("r", AttemptFinished(place=Place(1, 1), attempt=1, completion=answered, seconds=1.0))
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM events")
        db.commit()
    journal.append("r", CallFinished(place=Place(1, 1), completion=answered, seconds=1.0))
    told = StepFinished(step=1, answers=(Answer("Because.", "a", Place(1, 1)),), notes=(), seconds=1.0)
    journal.append("r", told)
    (left,) = (await journal.events("r")).events
    assert left == replace(told, answers=(Answer("[text not stored]", "a", Place(1, 1)),))


async def test_a_text_goes_with_the_last_run_that_said_it(journal: SQLiteJournal, path: Path) -> None:
    for run_id, text in (("old", "both"), ("old", "only the old"), ("new", "both")):
        if await journal.record(run_id) is None:
            await journal.begin(record_of(run_id))
        await journal.keep(run_id, asked(1, text))
    await journal.finish("old", "complete")
    assert await journal.forget(older_than=time.time() + 9) == 1
    assert look(path, "SELECT body FROM texts") == [(b"both",)]
    assert (await journal.events("new")).events != ()


async def test_forgetting_by_size_takes_the_oldest_that_nobody_drives(journal: SQLiteJournal, path: Path) -> None:
    for number in range(30):
        await journal.begin(record_of(f"r{number:02}"))
        await journal.keep(f"r{number:02}", asked(1, os.urandom(40_000).hex()))
        if number:
            await journal.finish(f"r{number:02}", "complete")
    whole = int(sum(pages * size for pages, size in look(path, "SELECT * FROM pragma_page_count, pragma_page_size")))
    assert await journal.forget(beyond_bytes=whole) == 0
    would = await journal.forget(beyond_bytes=whole // 2, dry=True)
    gone = await journal.forget(beyond_bytes=whole // 2)
    assert abs(gone - would) <= 1
    assert 10 <= gone <= 20
    left = sorted(record.run_id for record in await journal.records())
    assert left == ["r00", *(f"r{number:02}" for number in range(gone + 1, 30))]
    assert await journal.forget(beyond_bytes=0) == 29 - gone
    assert [record.run_id for record in await journal.records()] == ["r00"]


async def test_who_writes_waits_for_a_few_forgotten_runs_at_most(journal: SQLiteJournal) -> None:
    await journal.begin(record_of("driven"))
    for number in range(50):
        await journal.begin(record_of(f"r{number}"))
        await journal.finish(f"r{number}", "complete")
    order: list[str] = []

    async def forget() -> None:
        assert await journal.forget(older_than=time.time() + 9) == 50
        order.append("forgotten")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(forget)
        await anyio.lowlevel.checkpoint()
        await journal.keep("driven", went_out())
        order.append("kept")
    assert order == ["kept", "forgotten"]


async def test_nothing_is_forgotten_where_nothing_was_written(path: Path) -> None:
    journal = SQLiteJournal(path, at_once=False)
    assert await journal.forget(older_than=time.time()) == 0
    assert not await anyio.Path(path).exists()


async def test_half_a_character_in_a_question_is_left_out_and_the_run_is_done(journal: SQLiteJournal) -> None:
    with anyio.fail_after(5):
        async with runs_of(ScriptedModel(), journal).open() as runs:
            run = await start_run(runs, P, Question("Why \ud83d is \ud83d\ude00?", "\udcff", "\udc00"))
            await run.ended.wait()
            trace = await runs.trace(run.run_id)
    assert trace.status == "complete"
    assert trace.question == Question("Why \ufffd is \U0001f600?", "\ufffd", "\ufffd")


def says(call: Call) -> Completion | CallError:
    if call.agent == "b":
        return ServerFailed("obsidian fault")
    if call.agent == "y":
        empty = AnswerEmpty("no text", at_limit=False)
        empty.reasoning = "a periscope thought"
        return empty
    return Completion(f"pomegranate {call.place}", "p/m", reasoning=f"a tangerine thought at {call.place}")


@pytest.mark.parametrize("texts", [True, False])
async def test_where_only_hashes_are_kept_nothing_that_anybody_said_is_in_the_file(path: Path, texts: bool) -> None:
    journal = SQLiteJournal(path, texts=texts)
    with anyio.fail_after(20):
        async with runs_of(ScriptedModel(otherwise=says), journal, ONE_TRY).open() as runs:
            run = await start_run(runs, P, SPOKEN)
            await run.ended.wait()
    assert run.trace.status == "degraded"
    found = everything(path)
    assert {word: word.encode() in found for word in WORDS} == dict.fromkeys(WORDS, texts)


@pytest.mark.parametrize("texts", [True, False])
async def test_where_only_hashes_are_kept_no_criticism_is_in_the_file(path: Path, texts: bool) -> None:
    config = config_of(PROPOSE, '{ step = "critique", agents = ["x"] }', AGGREGATE)
    model = ScriptedModel({"x": "a quince remark"})
    with anyio.fail_after(20):
        async with runs_of(model, SQLiteJournal(path, texts=texts), config).open() as runs:
            run = await start_run(runs, config.pipelines["p"], SPOKEN)
            await run.ended.wait()
    assert [len(answer.comments) for answer in run.trace.steps[1].answers] == [1, 1, 1]
    assert (b"quince" in everything(path)) == texts


async def test_where_only_hashes_are_kept_another_process_is_told_these_and_refused_a_resume(path: Path) -> None:
    with anyio.fail_after(20):
        async with runs_of(ScriptedModel(otherwise=says), SQLiteJournal(path, texts=False), ONE_TRY).open() as runs:
            run = await start_run(runs, P, SPOKEN)
            await run.ended.wait()
            here = await runs.trace(run.run_id)
        async with runs_of(ScriptedModel(otherwise=says), SQLiteJournal(path, texts=False), ONE_TRY).open() as runs:
            trace = await runs.trace(run.run_id)
            with pytest.raises(RunNotResumable, match="its question was not stored"):
                await resume_run(runs, run.run_id)
    assert here.answer == run.trace.answer
    assert (trace.status, trace.pipeline, trace.usage) == ("degraded", "p", run.trace.usage)
    assert [step.answered for step in trace.steps] == [2, 1, 1]
    assert str(trace.answer).startswith("[text not stored; sha256 ")


async def test_a_key_that_a_provider_repeats_is_not_in_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICE_PHRASE", PASSPHRASE)
    with ModelServer() as server:
        server.script("a", Status(401, f"Incorrect API key provided: {PASSPHRASE}, or {KEY}."))
        config = parse(
            f'[models.a]\nroutes = [{{ model = "openai/a", api_base = "{server.url}", api_key_env = "OFFICE_PHRASE" }}]'
            f"\n{pipe(SOLO)}"
        )
        backend, _ = real(config.models, os.environ)
        with anyio.fail_after(30):
            async with Runs(config, backend, SQLiteJournal(path)).open() as runs:
                run = await start_run(runs, config.pipelines["p"], Question("Why?"))
                await run.ended.wait()
        (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {PASSPHRASE}"
    found = everything(path)
    assert b"Incorrect API key provided" in found
    assert PASSPHRASE.encode() not in found
    assert KEY.encode() not in found


# When it can't be written


def full(journal: SQLiteJournal) -> None:
    """Leave no more room on the disk."""
    ((pages,),) = journal._file.writer._connection.execute("PRAGMA page_count")
    journal._file.writer._connection.execute(f"PRAGMA max_page_count = {pages}")


def emptied(journal: SQLiteJournal) -> None:
    journal._file.writer._connection.execute("PRAGMA max_page_count = 1000000")


async def refusal_of(start: Awaitable[Run]) -> str:
    """Return why a run did not start; here, so that no task group wraps the error."""
    with pytest.raises(JournalError) as refused:
        await start
    return str(refused.value)


async def test_on_a_full_disk_no_run_begins_and_no_model_is_asked(journal: SQLiteJournal) -> None:
    model = ScriptedModel()
    full(journal)
    with anyio.fail_after(5):
        async with runs_of(model, journal).open() as runs:
            refused = await refusal_of(start_run(runs, P, Question(os.urandom(50_000).hex())))
            assert await runs.journal.records() == ()
    assert model.calls == []
    assert "full; make room on the disk. No model is called if calls can't be recorded" in refused


async def test_when_the_disk_fills_up_no_more_is_asked_and_what_was_paid_is_kept_until_there_is_room(
    path: Path,
) -> None:
    journal = SQLiteJournal(path, lease_s=0)
    asked: list[str] = []
    both = anyio.Event()

    async def fills(call: Call) -> str:
        asked.append(call.agent)
        if len(asked) == 2:
            full(journal)
            both.set()
        await both.wait()
        return os.urandom(50_000).hex()

    model = ScriptedModel({"x": fills, "y": fills})
    with anyio.fail_after(5):
        async with runs_of(model, journal).open() as runs:
            run = await start_run(runs, P, Question("Why?"))
            await run.ended.wait()
            emptied(journal)
    assert sorted(call.agent for call in model.calls) == ["a", "b", "c", "x", "y"]
    assert (run.trace.status, run.trace.answer) == ("failed", None)
    assert "make room on the disk" in str(run.trace.error)
    assert any("not recorded" in note for note in run.trace.notes)

    again = ScriptedModel()
    with anyio.fail_after(5):
        async with runs_of(again, SQLiteJournal(path, lease_s=0.2)).open() as runs:
            resumed = await resume_run(runs, run.run_id)
            await resumed.ended.wait()
    assert [call.agent for call in again.calls] == ["z"]
    assert (resumed.trace.status, resumed.trace.answer) == ("complete", "z at 3.1")


async def test_a_text_that_could_not_be_written_is_written_with_the_next_event_that_says_it(
    journal: SQLiteJournal,
) -> None:
    text = os.urandom(50_000).hex()
    await journal.begin(record_of())
    full(journal)
    with pytest.raises(JournalError, match="full"):
        await journal.keep("r", asked(1, text))
    emptied(journal)
    await journal.keep("r", said := asked(2, text))
    assert (await journal.events("r")).events == (said,)


@pytest.mark.parametrize("status", ["failed", "running"])
async def test_how_a_run_ended_on_a_full_disk_is_on_record_as_soon_as_there_is_room(
    journal: SQLiteJournal, path: Path, status: Literal["failed", "running"]
) -> None:
    await journal.begin(record_of())
    full(journal)
    journal.append("r", asked(1, os.urandom(50_000).hex()))
    with pytest.raises(JournalError, match="full"):
        await (journal.release("r") if status == "running" else journal.finish("r", status))
    other = SQLiteJournal(path)
    held = await other.record("r")
    assert held is not None
    assert held.owned
    emptied(journal)
    with anyio.fail_after(5):
        while (left := await other.record("r")) is not None and left.owned:  # noqa: ASYNC110  as another process does
            await anyio.sleep(0.05)
    assert left is not None
    assert left.status == status
    assert await other.claim("r")
    assert len((await other.events("r")).events) == 1
    await other.close()


async def test_a_fault_in_one_piece_of_work_reaches_who_waits_for_it_and_no_one_else(
    journal: SQLiteJournal, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: sqlite3.Connection) -> None:
        raise ZeroDivisionError

    journal._file.writer.soon(broken)
    with anyio.fail_after(5), pytest.raises(ZeroDivisionError):
        await journal._file.writer.do(broken)
    assert "could not be recorded" in caplog.text
    await journal.begin(record_of())
    assert len(await journal.records()) == 1


def lose_page(path: Path, table: str) -> None:
    root, size = look(path, f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'")[0][0], 4096
    raw = bytearray(path.read_bytes())
    raw[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(raw)


async def test_work_that_meets_a_damaged_page_fails_alone(journal: SQLiteJournal, path: Path) -> None:
    await journal.begin(record_of())
    await journal.release("r")
    await journal.close()
    lose_page(path, "spending")
    again = SQLiteJournal(path, lease_s=15.0)
    assert await again.claim("r")
    again._file.writer.patience_s = 0.1  # so that all that follows is one transaction
    failed: list[JournalError] = []

    async def spend() -> None:
        try:
            await again.commit_spending(Commitment("r", 1, None, day="2026-01-01"))
        except JournalError as error:
            failed.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(again.keep, "r", asked(1))
        tasks.start_soon(spend)
        tasks.start_soon(again.keep, "r", asked(2))
    kept = (await again.events("r")).events
    assert [event.place.number for event in kept if isinstance(event, CallStarted)] == [1, 2]
    assert [str(error).partition(";")[0] for error in failed] == [f"the journal {path} can't be used: it is damaged"]
    await again.close()
