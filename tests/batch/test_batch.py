"""`moa-mcp batch`: a file of questions becomes a file of results, and a second start pays for what is missing."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from contextlib import closing
from decimal import Decimal
from io import StringIO
from pathlib import Path

import anyio
import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from moa_mcp.batch.output import SUFFIX
from moa_mcp.batch.progress import BatchProgress
from moa_mcp.cli import commands
from moa_mcp.cli.batch import screen
from moa_mcp.cli.runs.listing import list_command
from moa_mcp.journal import RunRecord
from moa_mcp.journal.sqlite import SQLiteJournal
from tests.cli.test_cli import invoke
from tests.cli.test_cli_runs import listed
from tests.support.batches import ONE_STEP, PRICE, Desk
from tests.support.model_server import Held, Reply, Status

ECHO = Reply(lambda body: f"to {body['messages'][-1]['content']}")


def test_lines_are_in_the_order_of_the_questions_though_runs_end_in_any_order(desk: Desk) -> None:
    desk.models.script("first", Held(), ECHO)
    file = desk.ask({"id": "a", "question": "one?"}, "two?", {"id": 3, "question": "three?", "seed": 7})

    def release() -> None:
        desk.models.wait_for(lambda requests: sum(each.finished for each in requests) == 2)
        desk.models.release()

    releasing = threading.Thread(target=release)
    releasing.start()
    lines = desk.done(file)
    releasing.join()
    assert [(line["item"], line["id"], line["status"]) for line in lines] == [
        (1, "a", "complete"),
        (2, None, "complete"),
        (3, 3, "complete"),
    ]
    assert {"to one?": 1, "to two?": 2, "to three?": 3}.items() >= {
        (line["answer"], line["item"]) for line in lines if line["answer"].startswith("to")
    }
    assert not Path(f"{desk.out}{SUFFIX}").exists()


def test_a_line_has_the_result_of_its_run_as_ask_has_it(desk: Desk) -> None:
    (line,) = desk.done(desk.ask("Why?"))
    exported = json.loads(invoke("runs", "export", line["run_id"], *desk.options).stdout)
    of_batch = {"item": 1, "id": None, "batch": line["batch"]}
    shared = {name: exported[name] for name in line if name not in of_batch}
    assert line == {**of_batch, **shared}
    assert line["cost_usd"] > 0
    assert line["layers"][0]["models"] == ["first"]


def test_a_second_start_asks_for_nothing_and_writes_the_same_output(desk: Desk) -> None:
    file = desk.ask("one?", "two?")
    first = desk.done(file)
    desk.models.clear()
    desk.out.unlink()
    assert desk.done(file) == first
    assert desk.asked.total() == 0


def test_only_items_without_a_result_are_asked_after_a_change_of_the_file(desk: Desk) -> None:
    first = desk.done(desk.ask("one?", {"id": 2, "question": "two?"}, "one?"))
    desk.models.clear()
    second = desk.done(desk.ask("new?", {"id": 2, "question": "two?"}, "one?", "one?", {"id": 1, "question": "one?"}))
    assert desk.asked == {"new?": 1, "one?": 1}  # the last has an ID, so it is another item
    assert [line["run_id"] for line in second[1:4]] == [first[at]["run_id"] for at in (1, 0, 2)]


def test_a_changed_pipeline_seed_or_name_asks_all_again_and_another_time_limit_nothing(desk: Desk) -> None:
    file = desk.ask("one?")
    (first,) = desk.done(file)
    for args, steps in (
        (["--seed", "1"], ONE_STEP),
        (["--name", "again"], ONE_STEP),
        (["--system", "Be brief."], ONE_STEP),
        (["--models", "last"], ONE_STEP),
        ([], ONE_STEP.replace("100", "99")),
    ):
        desk.models.clear()
        desk.configure(steps)
        (line,) = desk.done(file, "--force", *args)
        assert line["run_id"] != first["run_id"]
        assert desk.asked.total() == 1
    desk.models.clear()
    desk.configure(ONE_STEP.replace("first", "last"))
    desk.done(file, "--force")  # as with --models last
    desk.configure(ONE_STEP.replace("}", ", timeout_s = 9, hedge = false }"), settings="limits.deadline_s = 99")
    assert desk.done(file, "--force", "--deadline", "50", "--max-cost", "9") == [first]
    assert desk.asked.total() == 0


def test_an_item_has_its_own_context_system_prompt_and_limits_before_those_of_the_batch(desk: Desk) -> None:
    context = desk.write("Of all.", "context.txt")
    own = {"question": "own?", "context": "Mine.", "system": "Me.", "deadline_s": 9, "max_cost_usd": 0.25}
    lines = desk.done(desk.ask(own, "other?"), "--context", context, "--system", "All.", "--concurrency", "1")
    first, second = ([each["content"] for each in request.body["messages"]] for request in desk.models.requests)
    assert ("Mine." in str(first), "Me." in str(first), "All." in str(first)) == (True, True, False)
    assert ("Of all." in str(second), "All." in str(second)) == (True, True)
    exported = json.loads(invoke("runs", "export", lines[0]["run_id"], *desk.options).stdout)
    assert exported["estimate"]["max_cost_usd"] == 0.25


def test_questions_come_from_stdin_and_lines_go_to_stdout(desk: Desk) -> None:
    desk.models.script("first", ECHO)
    arguments = ["batch", "one", "-", "-q", *desk.options]
    done = CliRunner().invoke(commands, arguments, '"one?"\n"two?"\n')
    assert (done.exit_code, done.stderr) == (0, "")
    assert [json.loads(line)["answer"] for line in done.stdout.splitlines()] == ["to one?", "to two?"]


def test_the_runs_of_a_batch_are_listed_by_its_id(desk: Desk) -> None:
    (line,) = desk.done(desk.ask("one?"))
    desk.done(desk.ask("two?", name="other.jsonl"), "--force")
    journal = desk.folder / "runs.sqlite"
    assert [row["run_id"] for row in listed(journal, "--batch", line["batch"])] == [line["run_id"]]
    assert len(listed(journal)) == 2
    context = click.Context(list_command, info_name="list")
    context.params["journal"] = str(journal)
    (option,) = (each for each in list_command.params if each.name == "batch")
    assert line["batch"] in {each.value for each in option.shell_complete(context, "")}


def test_a_failed_item_has_its_error_and_is_asked_again_only_with_retry_failed(desk: Desk) -> None:
    desk.models.script("first", Status(401, "no"))
    file = desk.ask("one?")
    done = desk.start(file)
    (line,) = desk.lines
    assert done.exit_code == 1
    assert (line["status"], line["reason"], line["answer"]) == ("failed", "step", None)
    assert "first" in line["error"]
    assert "Error: 1 of 1 item have no answer" in done.stderr
    desk.models.clear()
    desk.models.script("first", ECHO)
    assert desk.start(file).exit_code == 1
    assert desk.asked.total() == 0
    (again,) = desk.done(file, "--retry-failed")
    assert (again["run_id"], again["answer"]) == (line["run_id"], "to one?")


def test_a_run_that_fails_again_is_tried_once_for_each_start(desk: Desk) -> None:
    desk.models.script("first", Status(401, "no"))
    file = desk.ask("one?")
    for args in ((), ("--retry-failed",)):
        assert desk.start(file, *args).exit_code == 1
    assert desk.asked.total() == 2


def test_the_cost_of_a_batch_stays_within_its_budget_and_a_higher_one_continues_it(desk: Desk) -> None:
    desk.models.script("first", Reply("x " * 160, usage={"completion_tokens": 80}))  # $0.08, and $0.1 at most
    file = desk.ask(*(f"{number}?" for number in range(8)))
    done = desk.start(file, "--max-cost", "0.5", "--concurrency", "4")
    first = desk.lines
    assert done.exit_code == 1
    assert sum(line["cost_usd"] or 0 for line in first) <= 0.5
    assert [line["status"] for line in first].count("complete") == 6
    assert {line["reason"] for line in first} == {None, "budget"}
    assert "Raise --max-cost to start them" in done.stderr
    desk.models.clear()
    assert desk.start(file, "--max-cost", "0.5").exit_code == 1  # earlier starts count
    assert desk.asked.total() == 0
    lines = desk.done(file, "--max-cost", "0.7")
    assert desk.asked.total() == 2
    assert sum(line["cost_usd"] for line in lines) == pytest.approx(0.64)


def test_a_run_that_stopped_at_its_own_budget_is_continued_with_the_configured_one(desk: Desk) -> None:
    file = desk.ask("one?")
    desk.configure(settings="budget.max_cost_usd = 0.01")
    assert desk.start(file).exit_code == 1
    assert desk.lines[0]["reason"] == "budget"
    desk.configure()
    assert desk.done(file)[0]["status"] == "complete"


def test_a_budget_does_not_limit_a_model_without_a_price_and_says_so(desk: Desk) -> None:
    desk.configure(price="")
    done = desk.start(desk.ask("one?"), "--max-cost", "0.01")
    assert done.exit_code == 0
    assert "no price is known for first, so --max-cost does not limit its use" in done.stderr


def test_a_question_that_is_too_long_fails_alone(desk: Desk) -> None:
    desk.configure(price=f"{PRICE}, window = 200")
    file = desk.ask("long " * 1000, "short?")
    assert desk.start(file).exit_code == 1
    assert [(line["status"], line["reason"]) for line in desk.lines] == [
        ("failed", "question_too_long"),
        ("complete", None),
    ]


def test_an_estimate_calls_no_model_and_counts_only_what_is_left(desk: Desk) -> None:
    desk.done(desk.ask("one?"))
    desk.models.clear()
    file = desk.ask("one?", "two?", "three?")
    done = desk.start(file, "--estimate")
    assert done.exit_code == 0
    assert "3 items, 1 of them with a result; 2 runs to do" in done.stdout
    assert "Expected cost of 2 runs: $0.1200 (minimum" in done.stdout
    assert desk.asked.total() == 0
    assert "0 runs to do" in desk.start(desk.ask("one?"), "--estimate").stdout


def test_the_estimate_of_a_large_batch_is_computed_from_some_of_its_items(desk: Desk) -> None:
    desk.configure(price="")
    done = desk.start(desk.ask(*(f"{number}?" for number in range(1001))), "--estimate")
    assert "Expected: 1,001 calls" in done.stdout
    assert "Computed from 334 evenly spaced items." in done.stdout
    assert "No price is known for first." in done.stdout


def test_the_cost_of_a_batch_is_confirmed_by_yes_or_a_budget_where_nobody_can_be_asked(desk: Desk) -> None:
    desk.configure(settings="budget.confirm_above_usd = 0.1")
    file = desk.ask("one?", "two?")
    done = desk.start(file)
    assert done.exit_code == 2
    assert "confirmation required: 2 runs will make 2 model calls, expected to cost $0.1200" in done.stderr
    assert "Add --yes, or --max-cost 0.1200 or more" in done.stderr
    assert desk.asked.total() == 0
    assert not desk.out.exists()
    for args in (("--max-cost", "0.2"), ("--name", "other", "--yes", "--force"), ("--max-cost", "0.05", "--name", "x")):
        assert desk.start(file, "--force", *args).exit_code in {0, 1}
    assert desk.asked.total() == 4


def test_nothing_is_started_without_a_usable_provider(desk: Desk) -> None:
    done = invoke("batch", "vote", desk.ask("one?"), "-o", str(desk.out), OPENAI_API_KEY=None)
    assert done.exit_code == 3
    assert "vote can't run: no usable provider for" in done.stderr
    assert not desk.out.exists()


def test_answers_that_the_journal_does_not_store_make_no_batch_unless_there_is_no_journal(desk: Desk) -> None:
    desk.configure(settings='journal.record = "hashes"')
    file = desk.ask("one?")
    done = desk.start(file)
    assert done.exit_code == 2
    assert 'record = "hashes" does not store them' in done.stderr
    assert desk.done(file, "--journal", "none")[0]["status"] == "complete"
    assert desk.done(file, "--journal", "none")[0]["status"] == "complete"
    assert desk.asked.total() == 2


def test_a_run_whose_record_is_damaged_fails_alone(desk: Desk) -> None:
    file = desk.ask("one?", "two?")
    damaged, _ = desk.done(file)
    with closing(sqlite3.connect(desk.folder / "runs.sqlite")) as db, db:
        db.execute("UPDATE events SET body = 'x' WHERE run_id = ?", [damaged["run_id"]])
    assert desk.start(file).exit_code == 1
    assert [(line["status"], line["reason"]) for line in desk.lines] == [("failed", "journal"), ("complete", None)]


def test_a_run_of_another_version_fails_alone_and_its_answers_are_kept(desk: Desk) -> None:
    file = desk.ask("one?", "two?")
    known, _ = desk.done(file)
    (desk.folder / "runs.sqlite").unlink()
    at = time.time()

    async def begin() -> None:
        journal = SQLiteJournal(desk.folder / "runs.sqlite")
        record = RunRecord(known["run_id"], "one", '{"new": 1}', "running", "one?", at, at, batch=known["batch"])
        await journal.begin(record)
        await journal.release(known["run_id"])
        await journal.close()

    anyio.run(begin)
    assert desk.start(file).exit_code == 1
    assert [(line["status"], line["reason"]) for line in desk.lines] == [
        ("failed", "not_resumable"),
        ("complete", None),
    ]
    assert "was recorded by another version of moa-mcp" in desk.lines[0]["error"]


def test_a_damaged_journal_stops_a_batch_and_leaves_its_output(desk: Desk) -> None:
    file = desk.ask("one?")
    first = desk.done(file)
    path = desk.folder / "runs.sqlite"
    with closing(sqlite3.connect(path)) as db:
        sql = "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'runs'"
        ((page, size),) = db.execute(sql)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 100] = b"\xff" * 100
    path.write_bytes(content)
    done = desk.start(file)
    assert done.exit_code == 2
    assert "can't be used: it is damaged" in done.stderr
    assert desk.lines == first


@pytest.mark.parametrize(
    ("left_s", "shown"), [(40, "40 s left, ends"), (300, "5 min left, ends"), (9000, "2.5 h left, ends")]
)
def test_the_expected_end_follows_from_the_rate_so_far(left_s: float, shown: str) -> None:
    progress = BatchProgress(10, recorded=4, began=time.monotonic() - left_s / 2)
    for outcome in ("complete", "failed"):
        progress.add(outcome, Decimal("0.5"), fresh=True)
    drawn = StringIO()
    console = Console(file=drawn, force_terminal=True, width=120)

    async def draw() -> None:
        with screen.BatchScreen(console, "one", progress, quiet=False) as shows, anyio.move_on_after(0):
            await shows.follow()

    anyio.run(draw)
    assert f" 2 of 10, 1 failed, cost $1.00, {round(240 / left_s)}/min, {shown} " in drawn.getvalue()


def test_progress_is_printed_now_and_then_where_nothing_is_drawn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_SAID_S", 0.0)
    done = desk.start(desk.ask("one?"))
    lines = done.stderr.splitlines()
    assert lines[1] == "one: 0 of 1, cost $0"
    assert re.fullmatch(r"Batch [0-9a-f]{16}: 1 item: 1 complete; cost \$0\.\d+, in .*out\.jsonl\.", lines[-1])
    assert desk.start(desk.ask("two?"), "-q", "--force").stderr == ""
