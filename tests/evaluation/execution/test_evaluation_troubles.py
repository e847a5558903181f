"""Evaluations in trouble: damaged and foreign records, full disks, files that are gone, and settings that differ."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import anyio

from moa_mcp.journal import RunRecord
from moa_mcp.journal.sqlite import SQLiteJournal
from tests.cli.test_cli import POSIX
from tests.cli.test_cli_runs import environ
from tests.support.eval_desk import TRIO, EvalDesk, judging, outcomes_of, solver, sums
from tests.support.model_server import Body, Reply
from tests.support.nursery import Nursery
from tests.support.pictures import png

__all__ = ["environ"]


def test_a_damaged_run_fails_alone_and_another_name_asks_it_again(eval_desk: EvalDesk) -> None:
    file = eval_desk.ask(sums(2))
    damaged = outcomes_of(eval_desk.done(file), "trio")["q0"].run_id
    with closing(sqlite3.connect(eval_desk.folder / "runs.sqlite")) as db, db:
        db.execute("UPDATE events SET body = 'x' WHERE run_id = ?", [damaged])
    assert eval_desk.start(file).exit_code == 1
    outcomes = outcomes_of(eval_desk.result, "trio")
    assert {each.question: each.status for each in outcomes.values()} == {"q0": "failed", "q1": "complete"}
    assert "it is damaged" in outcomes["q0"].problem
    assert eval_desk.done(file, "--name", "again").complete


def test_a_run_of_another_version_fails_alone(eval_desk: EvalDesk) -> None:
    file = eval_desk.ask(sums(2))
    known = outcomes_of(eval_desk.done(file), "trio")["q0"].run_id or ""
    (eval_desk.folder / "runs.sqlite").unlink()
    at = time.time()

    async def begin() -> None:
        journal = SQLiteJournal(eval_desk.folder / "runs.sqlite")
        await journal.begin(RunRecord(known, "trio", '{"new": 1}', "running", "one?", at, at))
        await journal.release(known)
        await journal.close()

    anyio.run(begin)
    assert eval_desk.start(file).exit_code == 1
    assert "another version of moa-mcp" in outcomes_of(eval_desk.result, "trio")["q0"].problem
    assert outcomes_of(eval_desk.result, "trio")["q1"].status == "complete"


def test_no_model_is_asked_where_the_journal_is_damaged(eval_desk: EvalDesk) -> None:
    file, path = eval_desk.ask(sums(1)), eval_desk.folder / "runs.sqlite"
    eval_desk.done(file)
    with closing(sqlite3.connect(path)) as db:
        sql = "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'runs'"
        ((page, size),) = db.execute(sql)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 100] = b"\xff" * 100
    path.write_bytes(content)
    eval_desk.models.clear()
    assert eval_desk.start(file).exit_code == 1
    assert "it is damaged" in outcomes_of(eval_desk.result, "trio")["q0"].problem
    assert eval_desk.asked.total() == 0


@POSIX
def test_a_full_disk_stops_an_evaluation_which_continues_when_there_is_room(
    eval_desk: EvalDesk, nursery: Nursery, environ: dict[str, str]
) -> None:
    eval_desk.models.script("first", Reply(lambda body: solver()(body) + " word" * 2000))
    arguments = eval_desk.command(eval_desk.ask(sums(40)), "--concurrency", "4")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    environ |= {"XDG_DATA_HOME": str(eval_desk.folder), "OPENAI_API_KEY": "k"}
    stopped = nursery.run(*arguments, environ=environ, prelude=limit, late_s=90)
    assert stopped.returncode == 1
    assert "Run the same command again to continue" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    before = len(eval_desk.requests)
    assert nursery.run(*arguments, environ=environ, late_s=90).returncode == 0
    assert len(eval_desk.requests) <= 40 * 4 + 4 * 4
    assert before > 0


def test_a_result_that_can_not_be_stored_is_told_after_it_is_shown(eval_desk: EvalDesk) -> None:
    eval_desk.write("x", "moa-mcp")  # where the folder of the user's data would be
    done = eval_desk.start(eval_desk.ask(sums(1)))
    assert done.exit_code == 1
    assert "can't store the result in" in done.stderr
    assert "trio" in done.stdout


def test_images_reach_the_models_and_their_run_is_known_by_their_contents(eval_desk: EvalDesk) -> None:
    eval_desk.configure(price=", usd_per_million = { prompt = 0, completion = 1000 }, images = true")
    first, copy = eval_desk.folder / "a.png", eval_desk.folder / "b.png"
    first.write_bytes(png())
    copy.write_bytes(png())
    eval_desk.done(eval_desk.ask([{**sums(1)[0], "images": [str(first)]}]))
    assert "image_url" in str(eval_desk.requests[0].body)
    eval_desk.models.clear()
    eval_desk.done(eval_desk.ask([{**sums(1)[0], "images": str(copy)}]))
    assert eval_desk.asked.total() == 0
    judge = Reply(judging("better", lambda _: 0))
    eval_desk.models.script("judge", judge)
    question = {"question": "What is it?", "images": [str(first)]}
    assert eval_desk.done(eval_desk.ask([question]), "--judge", "judge").complete


def test_an_image_that_vanishes_fails_its_question_alone(eval_desk: EvalDesk) -> None:
    image = eval_desk.folder / "a.png"
    image.write_bytes(png())

    def deletes(body: Body) -> str:
        image.unlink(missing_ok=True)
        return solver()(body)

    eval_desk.models.script("first", Reply(deletes))
    file = eval_desk.ask([sums(2)[1], {**sums(1)[0], "images": [str(image)]}])
    done = eval_desk.start(file, "--concurrency", "1")
    assert done.exit_code == 1, done.output
    outcomes = outcomes_of(eval_desk.result, "trio")
    assert {each.question: each.status for each in outcomes.values()} == {"q1": "complete", "q0": "failed"}
    assert "a.png" in outcomes["q0"].problem


def test_samples_with_other_settings_than_a_single_call_are_told(eval_desk: EvalDesk) -> None:
    eval_desk.configure(trio=TRIO.replace("samples = 3 }]", "samples = 3 }], temperature = 0.1"))
    result = eval_desk.done(eval_desk.ask(sums(1)))
    assert (
        "one:first is asked as in trio, with temperature 0.1, max_tokens 100; the defaults are temperature 0.7, "
        "max_tokens 100." in result.notes
    )


def test_baselines_with_the_same_settings_have_one_note(eval_desk: EvalDesk) -> None:
    steps = '{ step = "propose", agents = ["first", "last", "judge"], temperature = 0.1 }'
    eval_desk.configure(trio=f'{steps}, {{ step = "vote", method = "majority" }}')
    result = eval_desk.done(eval_desk.ask(sums(1)))
    assert [note for note in result.notes if "asked as in" in note] == [
        (
            "one:first, one:last and one:judge are asked as in trio, with temperature 0.1, max_tokens 100; "
            "the defaults are temperature 0.7, max_tokens 100."
        )
    ]


def test_an_answer_schema_of_a_single_step_leaves_no_single_calls(eval_desk: EvalDesk) -> None:
    eval_desk.configure(trio='{ step = "propose", agents = ["first"] }], answer_schema = { type = "object" }, x = [')
    text = (eval_desk.folder / "pipelines.toml").read_text("utf-8").replace(", x = []", "")
    (eval_desk.folder / "pipelines.toml").write_text(text, "utf-8")
    done = eval_desk.start(eval_desk.ask(sums(1)))
    assert done.exit_code == 2
    assert "its first step is asked for JSON by its answer_schema" in done.stderr


def test_panels_and_stand_ins_are_told_with_the_models_that_answer(eval_desk: EvalDesk) -> None:
    steps = '{ step = "propose", agents = { panel = "fast", members = 3 } }, { step = "vote", method = "majority" }'
    eval_desk.configure(trio=steps)
    questions = [{"question": f"What is {number} * 7?", "answer": number * 7} for number in range(2)]
    result = eval_desk.done(eval_desk.ask(questions), "--offline", "--baseline", "balanced")
    assert any(note.startswith("trio: panel:fast:1 is ") for note in result.notes)
    assert "one:balanced" in {each.name for each in result.contestants}
    many = eval_desk.start(eval_desk.ask(sums(600)), "--offline", "--estimate")
    assert "Computed from evenly spaced questions." in many.stdout


def test_a_sample_larger_than_the_file_is_all_of_it(eval_desk: EvalDesk) -> None:
    result = eval_desk.done(eval_desk.ask(sums(2)), "--sample", "9")
    assert "All 2 questions were asked: there are no 9 for a sample." in result.notes


def test_estimates_name_models_without_a_price(eval_desk: EvalDesk) -> None:
    eval_desk.configure(price="")
    shown = eval_desk.start(eval_desk.ask(sums(1)), "--estimate").stdout
    assert "No price is known for first, last." in shown
    assert [each.split()[6] for each in shown.splitlines() if each.startswith("trio ")] == ["unknown"]


def test_a_user_function_scores_with_the_other_fields_of_a_line(eval_desk: EvalDesk) -> None:
    function = eval_desk.write(
        "def score(answer, metadata):\n    return 1 if metadata['level'] == 3 else 0.5\n", "mine.py"
    )
    rows = [{**sums(1)[0], "level": 3}, {**sums(2)[1], "level": 2}]
    result = eval_desk.done(eval_desk.ask(rows), "--score", f"{function}:score")
    assert [each.score for each in outcomes_of(result, "trio").values()] == [1.0, 0.5]
