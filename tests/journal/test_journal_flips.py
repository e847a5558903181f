"""Any byte of a journal is flipped: what is read of it is right or said to be damaged, and nothing stored is quoted."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from moa_mcp.errors import JournalError, MoaError, RunNotFound, RunNotResumable
from moa_mcp.events import Event
from moa_mcp.journal import RunRecord
from moa_mcp.journal.spending import Commitment
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import Runs, traced
from moa_mcp.testing import ScriptedModel
from moa_mcp.trace.json import full
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Question
from tests.support.days import today
from tests.support.journals import config_of, runs_of
from tests.support.starting import start_run
from tests.support.tables import AGGREGATE, PROPOSE

pytestmark = pytest.mark.anyio

WORDS = ("walrus", "carpenter", "cabbages")
"""Stored in every question, answer and spec; no message may hold one of them, nor a part that a flip leaves."""
CONFIG = config_of(PROPOSE, AGGREGATE)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


def said(call: Call) -> str:
    return f"The {WORDS[1]} ate them, {call.agent} says. " * (900 if call.agent == "b" else 1)


async def written(path: Path) -> tuple[str, ...]:
    """Write a journal with runs that ended and one that was left; return their ids."""
    runs = runs_of(ScriptedModel(otherwise=said), SQLiteJournal(path), CONFIG)
    ids: list[str] = []
    async with runs.open():
        for number in range(3):
            run = await start_run(
                runs, CONFIG.pipelines["p"], Question(f"Why does the {WORDS[0]} talk of {WORDS[2]} {number}?")
            )
            await run.ended.wait()
            ids.append(run.run_id)
        await runs.journal.commit_spending(Commitment(ids[0], 700, None, 100))
    return tuple(ids)


Look = Callable[[SQLiteJournal, str], Awaitable[object]]


async def _list(journal: SQLiteJournal, _: str) -> object:
    return {each.run_id: _fixed(each) for each in await journal.records() if not each.damaged}


async def _show(journal: SQLiteJournal, run_id: str) -> object:
    record = await journal.record(run_id)
    if record is None:
        raise RunNotFound(run_id)
    trace = traced(record, (await journal.events(run_id)).events)
    return _fixed(record), _events((await journal.events(run_id)).events), _shown(trace)


def _fixed(record: RunRecord) -> RunRecord:
    """Return what never changes of a record: when it was touched, and by whom it is held, are not guarded."""
    return replace(record, updated_at=0.0, owned=False)


def _events(events: tuple[Event, ...]) -> tuple[Event, ...]:
    return events


def _shown(trace: Trace) -> object:
    return full(trace)


async def _others(journal: SQLiteJournal, run_id: str) -> object:
    """Do all else that reads; what it comes to may be wrong, as sums have no checksum."""
    await journal.spending(today())
    await journal.held(today())
    await journal.free_dead()
    await journal.claim(run_id)
    await journal.forget(older_than=0.0, beyond_bytes=10**4, dry=True)
    runs = Runs(CONFIG, runs_of(ScriptedModel()).backend, journal)
    await runs.pipeline_of(run_id)
    return None


LOOKS: tuple[Look, ...] = (_list, _show, _others)


async def told(path: Path, run_id: str) -> list[object]:
    """Return what each look at a journal comes to, an error for what it raises."""
    found: list[object] = []
    for look in LOOKS:
        try:
            journal = SQLiteJournal(path, to_read=True, lease_s=0.01)
        except MoaError as error:
            found.append(error)
            continue
        try:
            found.append(await look(journal, run_id))
        except MoaError as error:
            found.append(error)
        finally:
            await journal.close()
    return found


def gone(path: Path) -> None:
    """Remove a journal and what SQLite keeps beside it."""
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def assert_right_or_damaged(found: object, right: object, where: str) -> None:
    if isinstance(found, MoaError):
        message = str(found)
        assert isinstance(found, JournalError | RunNotFound | RunNotResumable), where
        assert not any(word[:5] in message for word in WORDS), (where, message)
        assert isinstance(found, RunNotFound) or "damaged" in message, (where, message)
    elif isinstance(found, dict) and isinstance(right, dict):  # a run whose row is out of reach is missing
        assert found.items() <= right.items(), where  # pyright: ignore[reportUnknownMemberType]
    else:
        assert found == right, where


@pytest.mark.parametrize("seed", range(6))
async def test_a_flipped_byte_is_said_to_be_damage_or_changes_nothing_that_is_read(tmp_path: Path, seed: int) -> None:
    whole, path = tmp_path / "whole.sqlite", tmp_path / "journal.sqlite"
    run_id = (await written(whole))[1]
    right = await told(whole, run_id)
    raw, rng = whole.read_bytes(), Random(seed)
    damaged = 0
    for _ in range(60):
        at, bit = rng.randrange(len(raw)) if rng.random() < 0.8 else rng.randrange(100), rng.randrange(1, 256)
        gone(path)
        path.write_bytes(raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :])
        for found, expected in zip(await told(path, run_id), right, strict=True):
            assert_right_or_damaged(found, expected, f"byte {at} ^ {bit}")
            damaged += isinstance(found, MoaError)
    assert damaged


async def test_every_byte_of_the_files_header_may_be_flipped(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.sqlite", tmp_path / "journal.sqlite"
    run_id = (await written(whole))[1]
    right, raw = await told(whole, run_id), whole.read_bytes()
    for at in range(100):
        gone(path)
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x07]) + raw[at + 1 :])
        for found, expected in zip(await told(path, run_id), right, strict=True):
            assert_right_or_damaged(found, expected, f"byte {at} of the header")


@pytest.mark.parametrize("length", [0, 1, 15, 16, 99, 100, 101, 512, 4096, 5000, 8192, 20_000])
async def test_a_file_that_was_cut_is_said_to_be_damaged(tmp_path: Path, length: int) -> None:
    whole, path = tmp_path / "whole.sqlite", tmp_path / "journal.sqlite"
    run_id = (await written(whole))[1]
    path.write_bytes(whole.read_bytes()[:length])
    found = await told(path, run_id)
    assert found[0] == {} if length == 0 else isinstance(found[0], JournalError)
    for each in found if length else ():
        assert_right_or_damaged(each, None, str(length))


async def test_a_flip_in_the_log_of_what_was_written_last_is_damage_or_leaves_what_was_there_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, path = tmp_path / "whole.sqlite", tmp_path / "journal.sqlite"
    await SQLiteJournal(whole).close()
    with closing(sqlite3.connect(whole)) as reader:  # keeps the log
        reader.execute("SELECT count(*) FROM runs").fetchone()
        run_id = (await written(whole))[1]
        right = await told(whole, run_id)
        assert caplog.text == ""
        wal = whole.with_name(f"{whole.name}-wal").read_bytes()
        for at in range(0, len(wal), len(wal) // 40):
            gone(path)
            shutil.copyfile(whole, path)
            path.with_name(f"{path.name}-wal").write_bytes(wal[:at] + bytes([wal[at] ^ 0x55]) + wal[at + 1 :])
            caplog.clear()
            for found, expected in zip(await told(path, run_id), right, strict=True):
                if found != {} and not isinstance(found, RunNotFound):
                    _at_most(found, expected, at)
            assert f"the journal {path} is damaged" in caplog.text, at


def _at_most(found: Any, expected: Any, at: int) -> None:
    """Hold what is read to what stood there, at this moment or at one before."""
    if isinstance(found, tuple):
        (_, events, _), (_, all_events, _) = found, expected
        assert events == all_events[: len(events)], at
    elif isinstance(found, dict):
        assert found.keys() <= expected.keys()
    else:
        assert_right_or_damaged(found, expected, f"byte {at} of the log")
