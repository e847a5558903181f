"""Files that earlier versions wrote are brought up to date with all that is in them."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from moa_mcp.errors import Failure, JournalDamaged, JournalError
from moa_mcp.events import (
    AttemptFailed,
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    CallStarted,
    Event,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from moa_mcp.journal.spending import Commitment
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.values import Answer, Completion, Message, Place, Question, Usage
from tests.support.journals import record_of, went_out

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


VERSION_1 = """
CREATE TABLE runs(
    run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL, title TEXT NOT NULL,
    owner TEXT, lease_until REAL NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE INDEX runs_by_time ON runs(created_at);
CREATE TABLE events(
    seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, body TEXT NOT NULL);
CREATE INDEX events_by_run ON events(run_id, seq);
CREATE TABLE texts(digest TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO runs VALUES('r', 'p', '{}', 'running', 'Why?', NULL, 0, 1.0, 2.0);
PRAGMA user_version = 1;
"""
WORDS = {"d1": "Why?", "d2": "Because.", "d3": "no such model", "d4": "left out temperature"}
DIGESTS = {key: hashlib.sha256(text.encode()).hexdigest() for key, text in WORDS.items()}
"""By the name that stands in the events below."""
COMPLETION = (
    '{"text":{"sha256":"d2"},"model":"p/a","finish_reason":"length","usage":{"prompt_tokens":5,"completion_tokens":4,'
    '"cached_tokens":3,"reasoning_tokens":2},"cost_usd":"0.0012","notes":[{"sha256":"d4"}]}'
)
BODIES = (
    (
        '{"at":1.5,"kind":"run_started","run_id":"r","pipeline":"p","question":{"text":{"sha256":"d1"},"context":null,'
        '"system":null},"seed":7,"steps":["propose"]}'
    ),
    '{"at":2.5,"kind":"step_started","step":1,"step_kind":"propose"}',
    '{"at":3.5,"kind":"call_started","place":[1,1,1],"agent":"a","messages":[["user",{"sha256":"d1"}]]}',
    (
        '{"at":4.5,"kind":"attempt_started","place":[1,1,1],"attempt":1,"model":"p/a",'
        '"parameters":{"temperature":0.7,"max_tokens":9}}'
    ),
    (
        '{"at":5.5,"kind":"attempt_failed","place":[1,1,1],"attempt":1,"failure":{"kind":"NotFound","message":'
        '{"sha256":"d3"},"retryable":false,"paid":false,"usage":null,"cost_usd":null},"seconds":1.0}'
    ),
    '{"at":6.5,"kind":"attempt_finished","place":[1,1,1],"attempt":2,"completion":' + COMPLETION + ',"seconds":1.0}',
    '{"at":7.5,"kind":"call_finished","place":[1,1,1],"completion":' + COMPLETION + ',"seconds":3.0}',
    (
        '{"at":8.5,"kind":"step_finished","step":1,"answers":[{"text":{"sha256":"d2"},"agent":"a","place":[1,1,1],'
        '"cut":true}],"notes":[],"seconds":4.0}'
    ),
    '{"at":9.5,"kind":"run_finished","status":"degraded","answer":{"sha256":"d2"},"error":null,"seconds":5.0}',
)
PLACE = Place(1, 1)
ANSWERED = Completion(
    "Because.", "p/a", "length", Usage(5, 4, 3, 2), Decimal("0.0012"), notes=("left out temperature",)
)
TOLD: tuple[Event, ...] = (
    RunStarted(at=1.5, run_id="r", pipeline="p", question=Question("Why?"), seed=7, steps=("propose",)),
    StepStarted(at=2.5, step=1, step_kind="propose"),
    CallStarted(at=3.5, place=PLACE, agent="a", messages=(Message("user", "Why?"),)),
    AttemptStarted(at=4.5, place=PLACE, attempt=1, model="p/a", parameters={"temperature": 0.7, "max_tokens": 9}),
    AttemptFailed(
        at=5.5,
        place=PLACE,
        attempt=1,
        failure=Failure("NotFound", "no such model", retryable=False, paid=False),
        seconds=1.0,
    ),
    AttemptFinished(at=6.5, place=PLACE, attempt=2, completion=ANSWERED, seconds=1.0),
    CallFinished(at=7.5, place=PLACE, completion=ANSWERED, seconds=3.0),
    StepFinished(at=8.5, step=1, answers=(Answer("Because.", "a", PLACE, cut=True),), notes=(), seconds=4.0),
    RunFinished(at=9.5, status="degraded", answer="Because.", error=None, seconds=5.0),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
        bodies = [re.sub("d[1-4]", lambda key: DIGESTS[key[0]], body) for body in BODIES]
        db.executemany("INSERT INTO events(run_id, body) VALUES('r', ?)", [(body,) for body in bodies])
        texts = [(DIGESTS[key], zlib.compress(text.encode())) for key, text in WORDS.items()]
        db.executemany("INSERT INTO texts VALUES(?,?)", texts)
        db.commit()
    return path


async def test_the_runs_of_a_file_of_version_1_are_all_there_and_go_on(path: Path) -> None:
    journal = SQLiteJournal(path)
    record = await journal.record("r")
    assert record is not None
    assert (record.status, record.title, record.created_at, record.owned) == ("running", "Why?", 1.0, False)
    assert (await journal.events("r")).events == TOLD
    assert await journal.spending("2026-01-01") == 0
    assert await journal.claim("r")
    await journal.keep("r", went := went_out(2))
    assert (await journal.events("r")).events == (*TOLD, went)
    assert await journal.forget() == 0
    assert (await journal.events("r")).events == (*TOLD, went)
    await journal.close()


async def run_kept(path: Path) -> Event:
    """Make a journal with a run; return its one event."""
    journal = SQLiteJournal(path)
    await journal.begin(record_of("r"))
    await journal.keep("r", went := went_out())
    await journal.close()
    return went


COLUMNS = [("runs", "parts"), ("runs", "crc"), ("events", "crc"), ("spending", "held"), ("spending_line", "caller")]


@pytest.mark.parametrize("lost", [*((column,) for column in COLUMNS), COLUMNS])
async def test_a_column_that_a_development_version_did_not_have_is_added(
    tmp_path: Path, lost: Sequence[tuple[str, str]]
) -> None:
    path = tmp_path / "journal.sqlite"
    went = await run_kept(path)
    with closing(sqlite3.connect(path)) as db:
        for table, column in lost:
            db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    journal = SQLiteJournal(path)
    assert (await journal.events("r")).events == (went,)
    assert await journal.cancel("r")
    assert (await journal.events("r")).events == (went,)
    assert (await journal.commit_spending(Commitment("r", 7, None, 3, "2026-01-01"))).accepted
    assert await journal.spending("2026-01-01") == 7
    assert [(each.run_id, each.status) for each in await journal.records()] == [("r", "cancelled")]
    await journal.close()


async def test_a_column_that_a_development_version_had_before_its_time_is_no_hindrance(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE runs ADD COLUMN parts INTEGER")
    journal = SQLiteJournal(path)
    assert (await journal.events("r")).events == TOLD
    await journal.close()


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("ALTER TABLE runs RENAME COLUMN parts TO pieces", " (missing: runs.parts)"),
        ("ALTER TABLE runs DROP COLUMN title", " (missing: runs.title)"),
        (
            "DROP TABLE spending",
            " (missing: spending.caller, spending.day, spending.held, spending.nanodollars, spending.run_id)",
        ),
        ("DROP TABLE refs; CREATE TABLE refs(run_id, text_id, page NOT NULL)", ""),
        ("CREATE TABLE spare(page NOT NULL)", None),
        ("ALTER TABLE runs ADD COLUMN pieces INTEGER", None),
    ],
)
async def test_tables_of_another_version_are_not_called_damaged(
    tmp_path: Path, change: str, missing: str | None
) -> None:
    path = tmp_path / "journal.sqlite"
    went = await run_kept(path)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(change)
    if missing is None:
        journal = SQLiteJournal(path)
        assert (await journal.events("r")).events == (went,)
        await journal.close()
        return
    with pytest.raises(JournalError) as refused:
        SQLiteJournal(path)
    assert not isinstance(refused.value, JournalDamaged)
    assert str(refused.value) == (
        f"the journal {path} was created by another version of moa-mcp: its tables differ from those of this "
        f"version{missing}. Open it with that version, or select another file with --journal PATH. If no other version "
        "was in use, it is damaged"
    )


async def test_a_table_that_another_version_removes_meanwhile_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SQLiteJournal(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE spending")
    with pytest.raises(JournalError, match="was created by another version of moa-mcp"):
        await journal.spending("2026-01-01")
    await journal.close()
