"""Questions that follow earlier runs, on every store: what the models get, and what is stored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from moa_mcp.errors import JournalDamaged, RunNotResumable, ServerFailed
from moa_mcp.journal import Journal
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import NewRun, Run, Runs
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call, Message, Question, Target
from tests.support.journals import config_of, runs_of
from tests.support.starting import fork_run, ready, resume_run
from tests.support.stores import Open
from tests.support.tables import AGGREGATE, PROPOSE

pytestmark = pytest.mark.anyio

CONFIG = config_of(PROPOSE, AGGREGATE, settings="limits.attempts = 1")
P = CONFIG.pipelines["p"]
WHY = Question("Why?", "because of this", "Be brief.")
LONG = "A long answer. " * 2000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # journals in files and databases know no other


async def follow(runs: Runs, text: str | Question, earlier: str = "") -> Run:
    question = Question(text) if isinstance(text, str) else text
    run = await runs.start(await ready(runs, NewRun(pipeline=P, question=question, continues=earlier)))
    await run.ended.wait()
    return run


async def chained(runs: Runs) -> tuple[Run, Run, Run]:
    """Return three runs that follow each other."""
    one = await follow(runs, WHY)
    two = await follow(runs, "How?", one.run_id)
    return one, two, await follow(runs, Question("When?", system="Be long."), two.run_id)


async def test_each_model_gets_the_questions_as_they_were_asked_and_their_answers(journal: Journal) -> None:
    model = ScriptedModel(otherwise=lambda call: f"{call.agent} {call.messages[-1].content}")
    async with runs_of(model, journal, CONFIG).open() as runs:
        await chained(runs)
    (asked,) = {call.messages for call in model.calls if call.place.step == 1 and call.messages[-1].content == "When?"}
    system, first, answer, *rest = asked
    assert system == Message("system", "Be long.")
    assert first.role == "user"
    assert first.content.startswith("Why?\n\n----- context (")
    assert answer == Message("assistant", f"z {first.content}")
    assert rest == [Message("user", "How?"), Message("assistant", "z How?"), Message("user", "When?")]
    kept = next(call for call in model.calls if call.messages[-1].content == "How?")
    assert kept.messages[0] == Message("system", "Be brief.")
    merged = next(call for call in model.calls if call.agent == "z" and call.messages[-1].content == "When?")
    assert merged.messages[1:] == asked[1:]
    assert "a When?" in merged.messages[0].content


async def test_a_later_process_reads_and_forks_a_run_with_its_turns(opened: Open) -> None:
    async with runs_of(ScriptedModel(otherwise="y"), opened(), CONFIG).open() as runs:
        _, two, three = await chained(runs)
    model = ScriptedModel(otherwise="x")
    async with runs_of(model, opened(), CONFIG).open() as runs:
        trace = await runs.trace(three.run_id)
        assert (trace.continues, len(trace.question.turns)) == (two.run_id, 4)
        fork = await fork_run(runs, three.run_id, 2, P)
        await fork.ended.wait()
        (asked,) = model.calls
        assert asked.messages[1:5] == trace.question.turns
        assert fork.trace.continues == two.run_id
        follower = await follow(runs, "And then?", fork.run_id)
        assert follower.trace.question.turns[4:] == (Message("user", "When?"), Message("assistant", "x"))


async def test_a_failed_run_can_not_be_followed_until_it_is_resumed_with_its_turns(journal: Journal) -> None:
    model = ScriptedModel({"z": ["y", ServerFailed("down"), "z"]}, otherwise="x")
    async with runs_of(model, journal, CONFIG).open() as runs:
        one = await follow(runs, WHY)
        failed = await follow(runs, "How?", one.run_id)
        with pytest.raises(
            RunNotResumable, match=f"run {failed.run_id} is failed and has no answer; resume or fork it"
        ):
            await follow(runs, "And?", failed.run_id)
        resumed = await resume_run(runs, failed.run_id)
        await resumed.ended.wait()
        assert model.calls[-1].messages[1:] == model.calls[-2].messages[1:]
        assert (await follow(runs, "And?", failed.run_id)).trace.question.turns[-1] == Message("assistant", "z")


async def test_a_run_in_progress_can_not_be_followed(journal: Journal) -> None:
    async def never(_: Call) -> str:
        await anyio.sleep_forever()
        raise NotImplementedError

    async with runs_of(ScriptedModel(otherwise=never), journal, CONFIG).open() as runs:
        run = await runs.start(await ready(runs, NewRun(pipeline=P, question=WHY)))
        with pytest.raises(RunNotResumable, match="is running and has no answer yet; wait for it first"):
            await follow(runs, "How?", run.run_id)
        run.cancel()
        await run.ended.wait()
        with pytest.raises(RunNotResumable, match="is cancelled and has no answer"):
            await follow(runs, "How?", run.run_id)


async def test_a_queued_run_has_the_texts_of_its_turns(journal: Journal, opened: Open) -> None:
    async with runs_of(ScriptedModel(otherwise="x"), opened(), CONFIG).open() as runs:
        one = await follow(runs, WHY)
        two = await follow(runs, "How?", one.run_id)
        record = await runs.record(two.run_id)
    assert "because of this" not in record.spec
    assert {*record.texts.values()} == {two.trace.question.turns[0].content, "x"}
    assert await journal.begin(replace(record, run_id="queued"), queued=True)
    queued = await journal.record("queued")
    assert queued is not None
    assert queued.texts == record.texts


async def test_what_is_followed_may_be_deleted(opened: Open) -> None:
    model = ScriptedModel(otherwise="x")
    async with runs_of(model, opened(), CONFIG).open() as runs:
        one = await follow(runs, WHY)
        two = await follow(runs, "How?", one.run_id)
        await runs.journal.forget(older_than=(await runs.record(two.run_id)).updated_at)
        assert await runs.journal.record(one.run_id) is None
        three = await follow(runs, "When?", two.run_id)
        assert len(three.trace.question.turns) == 4


async def test_a_text_of_many_turns_is_stored_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    sizes: list[int] = []
    async with runs_of(ScriptedModel(otherwise=LONG), SQLiteJournal(path), CONFIG).open() as runs:
        last = (await follow(runs, WHY)).run_id
        for number in range(6):
            last = (await follow(runs, f"And {number}?", last)).run_id
            sizes.append(len((await runs.record(last)).spec))
    assert max(sizes) - min(sizes) < 6 * 400  # two hashes for each exchange


async def test_a_damaged_turn_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    async with runs_of(ScriptedModel(otherwise="x"), SQLiteJournal(path), CONFIG).open() as runs:
        two = await follow(runs, "How?", (await follow(runs, WHY)).run_id)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM refs WHERE run_id = ?", (two.run_id,))
    journal = SQLiteJournal(path)
    with pytest.raises(JournalDamaged):
        await journal.record(two.run_id)
    await journal.close()


def stored(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.iterdir())


async def test_without_stored_texts_only_the_process_of_a_run_can_follow_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    model = ScriptedModel(otherwise="x")
    async with runs_of(model, SQLiteJournal(path, texts=False), CONFIG).open() as runs:
        one = await follow(runs, WHY)
        two = await follow(runs, "How?", one.run_id)
        assert [turn.content for turn in two.trace.question.turns][1:] == ["x"]
    assert b"because of this" not in stored(tmp_path)
    async with runs_of(model, SQLiteJournal(path, texts=False), CONFIG).open() as runs:
        with pytest.raises(RunNotResumable, match=r'not stored \(record = "hashes"\)'):
            await follow(runs, "When?", two.run_id)


def windowed(model: ScriptedModel, journal: Journal | None, **windows: int) -> Runs:
    async def target(alias: str) -> tuple[Target, ...]:
        return (Target(f"p/{alias}", "p", window=windows.get(alias)),)

    return Runs(CONFIG, Backend(model, lambda _: target), journal)


async def test_the_smallest_window_decides_which_turns_all_members_get_and_a_resumed_run_repeats_them(
    opened: Open,
) -> None:
    answers = [f"{number} {'word ' * 600}" for number in range(6)]
    model = ScriptedModel({"z": [*answers, ServerFailed("down"), "done"]}, otherwise="x")
    async with windowed(model, opened(), a=200_000, b=6_000).open() as runs:
        run = await follow(runs, WHY)
        for number in range(6):
            run = await follow(runs, f"And {number}?", run.run_id)
        assert run.trace.status == "failed"
        failed = run.trace
        turns = failed.question.turns
        prompts = {call.messages for call in model.calls if call.messages[-1].content == "And 5?" and call.agent != "z"}
        assert len(prompts) == 1
        assert turns[-1].content == answers[5]
        assert turns[1].content.endswith("----- only the beginning of this message -----")
        assert turns[1].content.startswith("0 word")
        assert failed.notes[0].startswith("of 12 earlier turns, ")
        assert failed.notes[0].endswith("to fit the context window of b (6000 tokens)")
    async with windowed(model, opened(), a=300, b=300).open() as runs:
        resumed = await resume_run(runs, failed.run_id)
        await resumed.ended.wait()
        assert (resumed.trace.answer, model.calls[-1].messages[1:13]) == ("done", turns)


async def test_turns_are_left_out_oldest_first_where_even_their_beginnings_do_not_fit() -> None:
    turns = tuple(Message("user" if n % 2 == 0 else "assistant", f"{n} {'word ' * 200}") for n in range(40))
    model = ScriptedModel(otherwise="x")
    async with windowed(model, None, a=6_000).open() as runs:
        run = await follow(runs, Question("Why?", turns=turns))
    kept = run.trace.question.turns
    assert kept[0].role == "user"
    assert len(kept) < 40
    assert kept[-2:] == turns[-2:]
    assert [turn.content[:3] for turn in kept] == [turn.content[:3] for turn in turns[-len(kept) :]]
    assert " left out, to fit" in run.trace.notes[0]


async def test_nothing_is_cut_where_no_window_is_known() -> None:
    turns = (Message("user", LONG), Message("assistant", LONG))
    async with windowed(ScriptedModel(otherwise="x"), None).open() as runs:
        run = await follow(runs, Question("Why?", turns=turns))
    assert run.trace.question.turns == turns
    assert run.trace.notes == ()
