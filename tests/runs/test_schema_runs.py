"""The answer schema is part of a run: it is kept, resumed, forked and hashed with its question."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import NewRun, RunRefused
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call, Question
from tests.support.journals import config_of, runs_of
from tests.support.starting import fork_run, resume_run, start_run
from tests.support.tables import PROPOSE

pytestmark = pytest.mark.anyio

SCHEMA = json.dumps({"type": "object", "properties": {"sesame": {"type": "integer"}}, "required": ["sesame"]})
ASKED = Question("Why?", answer_schema=SCHEMA)
CONFIG = config_of(PROPOSE, '{ step = "aggregate", agent = "x" }')
P = CONFIG.pipelines["p"]
RIGHT = '{"sesame": 1}'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


async def test_a_run_that_stops_between_further_calls_asks_for_nothing_again(tmp_path: Path) -> None:
    reached = anyio.Event()

    async def hang(call: Call) -> str:
        reached.set()
        await anyio.sleep_forever()
        return call.agent

    first = ScriptedModel({"x": ["So.", '{"sesame": "open"}', hang]})
    async with runs_of(first, SQLiteJournal(tmp_path / "j"), CONFIG).open() as runs:
        run = await start_run(runs, P, ASKED, seed=1)
        with anyio.fail_after(5):
            await reached.wait()
    second = ScriptedModel({"x": RIGHT})
    async with runs_of(second, SQLiteJournal(tmp_path / "j"), CONFIG).open() as runs:
        resumed = await resume_run(runs, run.run_id)
        with anyio.fail_after(5):
            await resumed.ended.wait()
    assert [call.place for call in second.calls] == [first.calls[-1].place]
    assert second.calls[0].messages == first.calls[-1].messages
    assert (resumed.trace.status, resumed.trace.answer_json) == ("complete", {"sesame": 1})


async def test_a_fork_keeps_the_schema(tmp_path: Path) -> None:
    model = ScriptedModel({"x": ["So.", "So.", "So.", RIGHT]})
    async with runs_of(model, SQLiteJournal(tmp_path / "j"), CONFIG).open() as runs:
        run = await start_run(runs, P, ASKED, seed=1)
        await run.ended.wait()
        assert (run.trace.status, run.trace.answer_json) == ("degraded", None)
        forked = await fork_run(runs, run.run_id, 2, P)
        await forked.ended.wait()
    assert (forked.trace.status, forked.trace.answer_json) == ("complete", {"sesame": 1})


async def test_a_journal_of_hashes_has_neither_the_schema_nor_the_json(tmp_path: Path) -> None:
    model = ScriptedModel({"x": ['{"sesame": "open"}', RIGHT]})
    async with runs_of(model, SQLiteJournal(tmp_path / "j", texts=False), CONFIG).open() as runs:
        run = await start_run(runs, P, ASKED, seed=1)
        await run.ended.wait()
        assert run.trace.answer_json == {"sesame": 1}
    with closing(sqlite3.connect(tmp_path / "j")) as journal:
        assert "sesame" not in "\n".join(journal.iterdump())
    async with runs_of(model, SQLiteJournal(tmp_path / "j", texts=False), CONFIG).open() as runs:
        trace = await runs.trace(run.run_id)
        assert (trace.status, trace.answer_json) == ("complete", None)


async def test_a_budget_may_end_further_calls_but_not_lose_the_reply() -> None:
    priced = config_of(
        '{ step = "propose", agents = ["x"], max_tokens = 100 }',
        settings='models.p = { routes = ["openai/p"] }\nbudget.max_run_tokens = 1500',
    )
    model = ScriptedModel({"x": "So."})
    async with runs_of(model, config=priced).open() as runs:
        run = await start_run(runs, priced.pipelines["p"], ASKED, seed=1)
        await run.ended.wait()
    assert (run.trace.status, run.trace.answer, run.trace.answer_json) == ("degraded", "So.", None)
    assert 0 < len(model.calls) < 3


async def test_a_bad_schema_is_refused_at_the_door() -> None:
    model = ScriptedModel()
    async with runs_of(model, config=CONFIG).open() as runs:
        refused = await runs.admit(NewRun(pipeline=P, question=Question("Why?", answer_schema='{"type": 3}')))
    assert isinstance(refused, RunRefused)
    assert (refused.reason, model.calls) == ("answer_schema", [])
    assert refused.message.startswith("the answer schema is invalid at #/type: 3 is not valid")
