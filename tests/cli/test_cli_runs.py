"""The commands on runs: real processes where a call must be counted, in memory where the journal is only read."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from moa_mcp.journal import RunRecord
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.values import Status
from tests.cli.test_cli import POSIX, Terminal, invoke, served
from tests.support.model_server import Hang, ModelServer, Reply
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE, MEASURED

PROPOSE = '{step="propose", agents=["first", "second"]}'
RANK = '{step="rank", agent="first", n=1}'
AGGREGATE = '{step="aggregate", agent="last"}'
DAY = 86_400.0


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with a journal of their own, and neither keys nor a configuration."""
    kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "LANG", "PYTHONPATH") if key in os.environ}
    own = {"HOME": os.devnull, "TERM": "xterm", "PAGER": "cat", "MOA_MCP_JOURNAL": str(tmp_path / "runs.sqlite")}
    return MEASURED | kept | own


@pytest.fixture(scope="module")
def asked(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with a simulated run of `vote` and a later one of `rank_aggregate`."""
    path = tmp_path_factory.mktemp("asked") / "runs.sqlite"
    environ = {**os.environ, "MOA_MCP_JOURNAL": str(path)}
    for pipeline in ("vote", "rank_aggregate"):
        question = f"What is 2 + 2, {pipeline}?"
        done = nursery.run("ask", pipeline, question, "--offline", "-q", "--seed", "7", environ=environ)
        assert done.returncode == 0, done.stderr
    return path


def looked(path: Path, *args: str) -> str:
    """Return what a command on runs prints."""
    done = invoke("runs", *args, MOA_MCP_JOURNAL=str(path))
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def listed(path: Path, *args: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(looked(path, "list", "--json", *args))
    return rows


def refused(path: Path, *args: str) -> str:
    """Return the fault of a command that is refused with fault and remedy."""
    done = invoke("runs", *args, MOA_MCP_JOURNAL=str(path))
    fault, remedy = done.stderr.splitlines()
    assert (done.exit_code, done.stdout) == (2, "")
    assert remedy
    return fault.removeprefix("Error: ")


def put(path: Path, *runs: tuple[str, Status, float], driven: str = "") -> SQLiteJournal:
    """Put runs on record (id, status, age in seconds), and return the journal of the process that drives one."""
    journal = SQLiteJournal(path)

    async def work() -> None:
        for run_id, status, age_s in runs:
            at = time.time() - age_s
            await journal.begin(RunRecord(run_id, "vote", '{"simulated": true}', "running", "Why?", at, at))
            if status != "running":
                await journal.finish(run_id, status)
            elif run_id != driven:
                await journal.release(run_id)

    anyio.run(work)
    return journal


def test_the_newest_run_is_listed_first_with_its_cost_and_question(asked: Path) -> None:
    newest, oldest = listed(asked)
    head, _, *rows = invoke("runs", MOA_MCP_JOURNAL=str(asked), COLUMNS="120").stdout.splitlines()
    assert [newest["pipeline"], oldest["pipeline"]] == ["rank_aggregate", "vote"]
    assert (newest["status"], newest["cost_usd"], newest["simulated"]) == ("complete", 0.0, True)
    assert newest["question"] == "What is 2 + 2, rank_aggregate?"
    assert head.split() == ["run", "started", "pipeline", "status", "s", "cost", "question"]
    assert [row.split()[0] for row in rows] == [newest["run_id"], oldest["run_id"]]


def test_filters_choose_before_the_limit_does(asked: Path) -> None:
    assert [row["pipeline"] for row in listed(asked, "--limit", "1")] == ["rank_aggregate"]
    assert [row["pipeline"] for row in listed(asked, "--limit", "1", "--pipeline", "vote")] == ["vote"]
    assert listed(asked, "--status", "failed") == []


def test_a_line_is_no_wider_than_the_terminal(asked: Path) -> None:
    rows = invoke("runs", MOA_MCP_JOURNAL=str(asked), COLUMNS="80").stdout.splitlines()
    assert max(map(len, rows)) <= 80


def test_options_may_stand_before_the_group_and_before_the_command(asked: Path) -> None:
    for args in (["--journal", str(asked), "runs", "--json"], ["runs", "--journal", str(asked), "list", "--json"]):
        assert len(json.loads(invoke(*args, MOA_MCP_JOURNAL="/elsewhere").stdout)) == 2


def test_a_run_is_shown_with_its_question_its_layers_and_last_its_answer(asked: Path) -> None:
    shown = looked(asked, "show", "last")
    places = [shown.index(each) for each in ("What is 2 + 2, rank_aggregate?", "3 aggregate", "This call received")]
    assert places == sorted(places)
    assert "complete  rank_aggregate  run " in shown
    assert "seed 7" in shown


def test_what_members_found_is_shown_with_their_names(nursery: Nursery, environ: dict[str, str]) -> None:
    run = partial(nursery.run, environ=environ, prelude=AT_ONCE)
    fused = run("ask", "fusion", "What is 17 * 23?", "--offline", "--seed", "3")
    assert fused.returncode == 0, fused.stderr
    shown = run("runs", "show", "last").stdout
    for text in (fused.stderr, shown):
        lines = " ".join(text.split())
        assert "Analysis (step 2) - agreement: The answer is 391 (gemini-3.8-flash, mistral-medium-3-5)" in lines
        assert "- contradiction: The result: The answer is 392 (claude-sonnet-5-5); The answer is 390 (gpt" in lines
        assert "- missing in all: No simulated answer shows how it was calculated." in lines
    assert run("ask", "council", "What is 17 * 23?", "--offline", "-q", "--seed", "3").returncode == 0
    rows = run("runs", "show", "last").stdout.splitlines()
    at = rows.index("Review (step 2)")
    assert [row.partition("  ")[0] for row in rows[at + 1 : at + 5]] == [
        "1. answer 1, claude-sonnet-5-5",
        "2. answer 3, gemini-3.8-flash",
        "3. answer 4, mistral-medium-3-5",
        "4. answer 2, gpt-6.1-terra",
    ]


def test_a_run_is_shown_with_its_context_in_short_and_a_fork_with_its_origin(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    context = tmp_path / "design.md"
    context.write_text("Three tables.", "utf-8")
    run = partial(nursery.run, environ=environ, prelude=AT_ONCE)
    assert run("ask", "vote", "Why?", "--context", str(context), "--offline", "-q").returncode == 0
    assert "(13 characters; --full shows it)" in run("runs", "show", "last").stdout
    assert "Three tables." in run("runs", "show", "last", "--full").stdout
    first = json.loads(run("runs", "list", "--json").stdout)[0]["run_id"]
    assert run("runs", "fork", "last", "--from", "2", "--offline", "-q").returncode == 0
    assert f"forked from run {first}, reusing its first 1 step" in run("runs", "show", "last").stdout


def test_full_shows_every_prompt_and_answer_and_equal_prompts_once(asked: Path) -> None:
    whole = json.loads(looked(asked, "export", "last"))
    shown = looked(asked, "show", "last", "--full")
    calls = [call for step in whole["steps"] for call in step["calls"]]
    assert all(call["text"] in shown for call in calls)
    assert all(message["content"] in shown for call in calls for message in call["messages"])
    assert shown.count("same prompt as call 1.1") == 4


def test_export_writes_the_whole_trace_to_a_file(asked: Path, tmp_path: Path) -> None:
    run_id = listed(asked)[1]["run_id"]
    assert looked(asked, "export", run_id[:9], "-o", str(tmp_path / "run.json")) == ""
    written = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert (written["run_id"], [step["kind"] for step in written["steps"]]) == (run_id, ["propose", "vote"])
    assert refused(asked, "export", run_id, "-o", str(tmp_path)) == f"can't write {tmp_path}: Is a directory"


def test_export_writes_a_page_and_json_beside_it_if_asked(asked: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "run.html", tmp_path / "run.json"
    assert looked(asked, "export", "last", "--html", str(page)) == ""
    assert looked(asked, "export", "last", "--html", str(page), "-o", str(data)) == ""
    written = page.read_text("utf-8").partition('id="run">')[2].partition("</script>")[0]
    assert json.loads(written)["run"]["run_id"] == json.loads(data.read_text("utf-8"))["run_id"]
    assert refused(asked, "export", "last", "--html", str(tmp_path)) == f"can't write {tmp_path}: Is a directory"


def test_export_writes_two_runs_on_one_page(asked: Path, tmp_path: Path) -> None:
    page, (later, earlier) = tmp_path / "runs.html", [each["run_id"] for each in listed(asked)[:2]]
    assert looked(asked, "export", later, "--html", str(page), "--compare", earlier[:9]) == ""
    written = json.loads(page.read_text("utf-8").partition('id="run">')[2].partition("</script>")[0])
    assert [written[name]["run_id"] for name in ("run", "other")] == [earlier, later]
    assert {"step": None, "setting": "pipeline", "one": "vote", "other": "rank_aggregate"} in written["settings"]
    assert refused(asked, "export", later, "--compare", earlier) == "--compare needs a page to write"
    assert "there is no run 'zz'" in refused(asked, "export", later, "--html", str(page), "--compare", "zz")
    fault = refused(asked, "export", later, "--html", str(page), "--compare", "parent")
    assert fault == f"run {later} is not a fork, so it has no parent"


@POSIX
def test_at_a_terminal_a_full_trace_is_paged(
    nursery: Nursery, environ: dict[str, str], asked: Path, tmp_path: Path
) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho PAGED\nexec cat\n", "utf-8")
    pager.chmod(0o700)
    paged = environ | {"PAGER": str(pager)}
    terminal = Terminal(paged, "runs", "--journal", str(asked), "show", "last", "--full", nursery=nursery)
    assert terminal.until_end() == 0
    assert terminal.shown.index("PAGED") < terminal.shown.index("Call 1.1")


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        (["show", "zz"], "there is no run 'zz' in the journal"),
        (["show", "a\udcff\x1b"], r"there is no run 'a\udcff\x1b' in the journal"),
        (["show", "ab02"], "there is no run 'ab02' in the journal; did you mean 'ab03'?"),
        (["resume", "ab"], "'ab' matches 2 runs: ab03, ab01"),
        (["cancel", "done"], "run done is complete; there is nothing to cancel"),
        (["gc"], "gc needs --older-than or --max-size"),
        (["gc", "--older-than", "30"], "--older-than 30 is not a number with a unit"),
        (["gc", "--max-size", "5 apples"], "--max-size 5 apples is not a number with a unit"),
    ],
)
def test_wrong_usage_gets_the_fault_and_the_remedy(tmp_path: Path, args: list[str], fault: str) -> None:
    path = tmp_path / "runs.sqlite"
    anyio.run(put(path, ("done", "complete", 9), ("ab01", "failed", 5), ("ab03", "failed", 1)).close)
    assert refused(path, *args) == fault


def test_reasoning_is_folded_unless_it_is_asked_for_and_stands_in_the_export(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Reply("<think>Is it so? \u202eYes.</think>So."))
        server.script("second", Reply("So."))
        config = ["--config", served(server, tmp_path, PROPOSE, AGGREGATE)]
        assert nursery.run(*config, "ask", "one", "Why?", environ=environ).returncode == 0
    path = Path(environ["MOA_MCP_JOURNAL"])
    shown, full = looked(path, "show", "last"), looked(path, "show", "last", "--full")
    opened = looked(path, "show", "last", "--reasoning")
    calls = [call for step in json.loads(looked(path, "export", "last"))["steps"] for call in step["calls"]]
    assert "reasoning of 1 call: 15 characters, hidden; --reasoning shows it\n" in shown
    assert "reasoning: 15 characters, hidden; --reasoning shows it\n\nanswer\nSo.\n" in full
    assert "Is it so?" not in shown + full
    assert "reasoning\nIs it so? ⟨U+202E⟩Yes.\n\nanswer\nSo.\n" in opened
    assert [call["reasoning"] for call in calls] == ["Is it so? \u202eYes.", None, None]


def test_without_a_journal_there_are_no_runs_and_no_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    empty = invoke("runs", MOA_MCP_JOURNAL=str(path))
    assert (empty.exit_code, empty.stdout, empty.stderr) == (0, "", f"There are no runs yet in {path}.\n")
    assert listed(path) == []
    assert refused(path, "show", "last") == f"there are no runs yet in {path}"
    assert not path.exists()


@pytest.mark.parametrize("args", [["list"], ["show", "last"], ["export", "last"], ["gc", "--older-than", "1d"]])
def test_what_is_on_record_can_be_looked_at_though_the_configuration_is_faulty(
    asked: Path, tmp_path: Path, args: list[str]
) -> None:
    faulty = tmp_path / "pipelines.toml"
    faulty.write_text("steps = [", "utf-8")
    config = ["--config", str(faulty)]
    for given in ([*config, "runs", *args], ["runs", *args, *config]):
        done = invoke(*given, MOA_MCP_JOURNAL=str(asked))
        assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("args", [["list"], ["show", "last"], ["resume", "last"], ["gc", "--older-than", "1d"]])
def test_a_journal_that_cannot_be_used_is_told(tmp_path: Path, args: list[str]) -> None:
    path = tmp_path / "runs.sqlite"
    path.write_text("no database at all, " * 100, "utf-8")
    assert refused(path, *args).startswith(f"the journal {path} can't be used: file is not a database")
    assert refused(Path("none"), *args) == "--journal none does not store runs"


def test_a_run_that_nobody_drives_is_interrupted_and_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    driver = put(path, ("left", "running", 9), ("driven", "running", 1), driven="driven")
    before = [row["status"] for row in listed(path)]
    said = [looked(path, "cancel", run_id) for run_id in ("left", "driven", "left")]
    anyio.run(driver.close)
    assert before == ["running", "interrupted"]
    assert said == [
        "Cancelled run left.\n",
        "Cancelled run driven; its process stops it within a second.\n",
        "Run left was already cancelled.\n",
    ]
    assert [row["run_id"] for row in listed(path, "--status", "cancelled")] == ["driven", "left"]


def test_a_run_that_waits_in_the_queue_is_listed_shown_and_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    spec = json.dumps({"simulated": True, "spec": {"question": {"text": "Why is it blue?"}}})

    async def work() -> None:
        journal = SQLiteJournal(path)
        await journal.begin(RunRecord("waits", "vote", spec, "running", "Why?", time.time(), time.time()), queued=True)
        await journal.close()

    anyio.run(work)
    assert [row["run_id"] for row in listed(path, "--status", "queued")] == ["waits"]
    assert listed(path, "--status", "interrupted") == []
    shown = looked(path, "show", "waits")
    assert "Why is it blue?" in shown
    assert "queued" in shown
    assert "resume" not in shown
    assert looked(path, "cancel", "waits") == "Cancelled run waits.\n"
    assert [row["status"] for row in listed(path, "--limit", "1")] == ["cancelled"]


def test_gc_deletes_what_is_old_and_never_what_is_driven(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    driver = put(
        path, ("old", "running", 40 * DAY), ("new", "complete", 0), ("driven", "running", 50 * DAY), driven="driven"
    )
    dry = looked(path, "gc", "--older-than", "30d", "--dry-run")
    before = len(listed(path))
    by_age = looked(path, "gc", "--older-than", "30d")
    by_size = looked(path, "gc", "--max-size", "1B")
    left = [row["run_id"] for row in listed(path)]
    anyio.run(driver.close)
    assert (dry, before) == ("Would delete 1 of 3 runs.\n", 3)
    assert (by_age, by_size) == ("Deleted 1 of 3 runs.\n", "Deleted 1 of 2 runs.\n")
    assert left == ["driven"]


def test_what_is_paid_is_paid_once_through_kill_resume_and_fork(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    run = partial(nursery.run, environ=environ)
    path = Path(environ["MOA_MCP_JOURNAL"])
    with ModelServer() as server:
        server.script("last", Hang())
        options = ["--config", served(server, tmp_path, PROPOSE, RANK, AGGREGATE)]
        with nursery.start(*options, "ask", "one", "Why?", environ=environ):  # and kill it
            server.wait_for(lambda requests: any(each.model == "last" for each in requests), timeout=15)
        left = listed(path)[0]["status"]
        server.clear()
        server.script("last", Reply("So."))
        resumed = run(*options, "runs", "resume", "last")
        paid_by_resume = [each.model for each in server.requests]
        again = refused(path, "resume", "last", *options)
        server.clear()
        forked = run(*options, "runs", "fork", "last", "--from", "3", "--set", "agent=second", "--json", "-q")
        paid_by_fork = [each.model for each in server.requests]
        server.clear()
        keyless = run(*options, "runs", "fork", "last", "--from", "3", "--set", "agent=openai/gpt-5", "-q")
        assert not server.requests
    after, before = listed(path)
    assert (left, paid_by_resume, paid_by_fork) == ("interrupted", ["last"], ["second"])
    assert (resumed.returncode, resumed.stdout) == (0, "So.\n")
    assert resumed.stderr.splitlines()[0] == (
        f"Resuming {before['run_id']}: 3 calls already paid for, 2 of 3 steps finished."
    )
    assert again == f"run {before['run_id']} is complete; there is nothing to resume"
    told = json.loads(forked.stdout)
    assert (forked.returncode, told["run_id"], told["answer"]) == (0, after["run_id"], "answer 1 from second")
    assert told["usage"] == told["trace"][2]["calls"][0]["usage"]
    assert keyless.returncode == 3
    assert keyless.stderr.splitlines() == [
        "Error: no usable provider: openai/gpt-5: no route can be used here; set OPENAI_API_KEY",
        "No model was called and nothing was spent.",
    ]


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        (["--from", "4"], "has no step 4"),
        (
            ["--from", "3", "--set", "agent=gpt-5-nanno"],
            "'gpt-5-nanno' is not a model in the configuration, did you mean",
        ),
        (["--from", "3", "--set", "agnet=gpt-5-nano"], "--set 3.agnet: unknown key, did you mean 'agent'?"),
        (["--from", "3", "--set", "temp=hot"], "--set 3.temperature: 'hot' should be a number"),
        (["--from", "3", "--set", "temperature=3"], "--set 3.temperature: 3 should be at most 2"),
        (["--from", "2", "--set", "3.max_tokens=1.5"], "--set 3.max_tokens: 1.5 should be a whole number"),
        (["--from", "3", "--set", "agent="], "--set 3.agent: is empty"),
        (["--from", "3", "--set", "2.n=1"], "--set 2.n=1: step 2 is before the fork"),
        (["--from", "3", "--set", "4.n=1"], "--set 4.n=1: there is no step 4"),
        (["--from", "3", "--set", "agent"], "--set agent is not KEY=VALUE"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_before_anything_is_asked(
    asked: Path, args: list[str], fault: str
) -> None:
    assert fault in refused(asked, "fork", "last", "--offline", *args)
    assert len(listed(asked)) == 2


def test_a_run_is_forked_only_in_the_world_it_was_made_in(asked: Path) -> None:
    assert refused(asked, "fork", "last", "--from", "2").endswith("was simulated; add --offline")


def test_every_kind_of_value_can_be_set(nursery: Nursery, environ: dict[str, str], asked: Path) -> None:
    settings = [
        "agents=gpt-5-nano,llama-3.3-70b",
        "temperature=0.2",
        "2.n=2",
        "2.passes=2",
        "3.prompt=7",
        "3.agent=gpt-5-nano",
    ]
    args = [part for setting in settings for part in ("--set", setting)]
    journal = environ | {"MOA_MCP_JOURNAL": str(asked)}
    done = nursery.run("runs", "fork", "last", "--from", "1", *args, "--offline", "--json", environ=journal)
    trace = json.loads(done.stdout)["trace"]
    proposed, ranked, aggregated = trace
    assert [call["agent"] for call in proposed["calls"]] == ["gpt-5-nano", "llama-3.3-70b"]
    assert proposed["calls"][0]["attempts"][0]["parameters"]["temperature"] == 0.2
    assert (len(ranked["calls"]), len(ranked["answers"])) == (2, 2)
    assert aggregated["calls"][0]["messages"][0]["content"].startswith("7")
    assert aggregated["calls"][0]["agent"] == "gpt-5-nano"
