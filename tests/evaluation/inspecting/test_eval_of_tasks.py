"""The command `moa-mcp eval FILE.py@TASK`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from click.testing import Result

from tests.cli.test_cli import invoke
from tests.support.inspecting import Bench, restored
from tests.support.model_server import Hang, Reply, Status
from tests.support.tasks import SUMS, TaskBench


def evaluated(bench: Bench, *args: str) -> Result:
    options = ("--config", str(bench.config), "--journal", str(bench.folder / "runs.sqlite"), "--yes")
    with restored():
        return invoke("eval", *args, *options, OPENAI_API_KEY="sk-x", XDG_DATA_HOME=str(bench.folder))


def test_a_task_has_the_result_of_an_evaluation(bench: Bench) -> None:
    bench.models.script("small", Reply("3"), Reply("4"))
    bench.models.script("large", Reply("4"))
    source = TaskBench(bench).write(SUMS)
    file = bench.folder / "result.json"

    result = evaluated(bench, f"{source}@sums", "--pipelines", "mix", "-T", "count=3", "--json", str(file))

    assert result.exit_code == 0, result.output
    assert "one:small (baseline, free)" in result.stdout
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    assert (found["source"], found["settings"]["scoring"], found["complete"]) == ("task.py@sums", "task", True)
    assert [each["id"] for each in found["questions"]] == ["0", "1", "2"]
    assert {each["name"] for each in found["contestants"]} >= {"mix", "one:small", "majority:mix:3"}
    bench.models.clear()
    again = evaluated(bench, f"{source}@sums", "--pipelines", "mix", "-T", "count=3")
    assert (again.exit_code, bench.asked) == (0, {})


def test_an_estimate_of_a_task_asks_nothing(bench: Bench) -> None:
    source = TaskBench(bench).write(SUMS)
    result = evaluated(bench, f"{source}@sums", "--pipelines", "mix", "--estimate")
    assert result.exit_code == 0, result.output
    assert "2 questions; 2 runs to do" in result.output
    assert not bench.models.requests


def test_a_task_with_failed_samples_is_incomplete(bench: Bench) -> None:
    bench.models.script("large", Status(400, "no"))
    source = TaskBench(bench).write(SUMS)
    result = evaluated(bench, f"{source}@sums", "--pipelines", "mix", "-T", "count=1")
    assert result.exit_code == 1
    assert "the evaluation is not complete" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("@sum",), "defines no task 'sum'; did you mean sums?"),
        (("@sums", "--judge", "mix"), "--judge has no effect on"),
        (("@sums", "--system", "Be brief."), "--system has no effect on"),
        (("@sums", "-T", "count"), "-T 'count' is not NAME=VALUE"),
        (("@sums", "-T", "n=3"), "has no parameter 'n'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_asked(bench: Bench, args: tuple[str, ...], message: str) -> None:
    source = TaskBench(bench).write(SUMS)
    result = evaluated(bench, f"{source}{args[0]}", "--pipelines", "mix", *args[1:])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not bench.models.requests


def test_arguments_of_a_task_are_refused_for_a_file(bench: Bench) -> None:
    file = bench.folder / "q.jsonl"
    file.write_text('{"question": "Why?", "answer": "x"}\n', "utf-8")
    result = evaluated(bench, str(file), "--pipelines", "mix", "-T", "n=3")
    assert (result.exit_code, "-T is for tasks of Inspect" in result.output) == (2, True)


def test_ctrl_c_ends_the_evaluation_of_a_task_which_can_be_continued(bench: Bench) -> None:
    bench.models.script("small", Reply("4"))
    bench.models.script("large", Hang())
    source = TaskBench(bench).write(SUMS)
    journal = str(bench.folder / "runs.sqlite")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "moa_mcp", "eval", f"{source}@sums", "--pipelines", "mix", "--yes"),
            *("--config", str(bench.config), "--journal", journal, "-T", "count=1"),
        ],
        env={**os.environ, "XDG_DATA_HOME": str(bench.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    bench.models.wait_for(lambda seen: any(each.model == "large" for each in seen), timeout=120)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 130, output
    assert "Interrupted: 0 of 1 runs have a result" in output.replace("1 run ", "1 runs ")
    bench.models.script("large", Reply("4"))
    assert evaluated(bench, f"{source}@sums", "--pipelines", "mix", "-T", "count=1").exit_code == 0
    assert bench.asked == {"small": 3, "large": 2}
