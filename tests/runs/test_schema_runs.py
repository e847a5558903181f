"""The answer schema is part of a run: it is kept, resumed, forked and hashed with its question."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from moa_mcp.images import image_of_bytes
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import NewRun, RunRefused
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call, Message, Question
from tests.support.journals import config_of, runs_of
from tests.support.pictures import png
from tests.support.starting import fork_run, ready, resume_run, start_run
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


async def test_a_run_that_follows_keeps_the_images_and_needs_a_schema_of_its_own(tmp_path: Path) -> None:
    image = image_of_bytes(png())
    model = ScriptedModel({"x": [RIGHT, "In words.", RIGHT]})
    async with runs_of(model, SQLiteJournal(tmp_path / "j"), CONFIG).open() as runs:
        first = await start_run(runs, P, replace(ASKED, images=(image,)), seed=1)
        await first.ended.wait()
        then = NewRun(pipeline=P, question=Question("And now?"), continues=first.run_id)
        second = await runs.start(await ready(runs, then))
        await second.ended.wait()
        own = P.model_copy(update={"answer_schema": SCHEMA})
        third = await fork_run(runs, first.run_id, 2, own)
        await third.ended.wait()
    assert (second.trace.answer, second.trace.answer_json, second.trace.status) == ("In words.", None, "complete")
    assert second.trace.question.turns == (Message("user", "Why?", (image,)), Message("assistant", RIGHT))
    assert third.trace.answer_json == {"sesame": 1}
    asked, _, again = [call for call in model.calls if call.agent == "x"]
    assert again.messages == asked.messages
    assert again.messages[-1].images == (image,)


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
