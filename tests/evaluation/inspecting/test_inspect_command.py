"""The command `inspect eval`, which finds the provider by the entry point of the installed package."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from inspect_ai.log import list_eval_logs, read_eval_log

from tests.support.inspecting import Bench, samples_of
from tests.support.model_server import Hang, Reply

_TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def sums():
    samples = [Sample(id=number, input=f"What is {number} + 1?", target="4") for number in range(3)]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""


@pytest.fixture
def task(bench: Bench) -> Path:
    path = bench.folder / "task.py"
    path.write_text(_TASK, "utf-8")
    return path


def completed(bench: Bench) -> int:
    """Return how many runs the journal has an answer of."""
    with closing(sqlite3.connect(f"file:{bench.folder / 'runs.sqlite'}?mode=ro", uri=True)) as journal:
        return int(journal.execute("SELECT count(*) FROM runs WHERE status = 'complete'").fetchone()[0])


def wait_for(condition: Callable[[], bool]) -> None:
    """Return as soon as a condition holds; fail if it does not within a minute."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_killed_evaluation_is_started_again_and_nothing_recorded_is_paid_again(bench: Bench, task: Path) -> None:
    bench.models.script("small", Reply("3"))
    bench.models.script("large", Reply("4"), Hang())
    killed = bench.started("task.py", "--model", "moa/mix,moa/one:small")
    bench.models.wait_for(lambda seen: sum(each.model == "large" for each in seen) == 3, timeout=60)
    wait_for(lambda: completed(bench) == 4)  # of one call: 3; of the pipeline: 1
    killed.kill()
    killed.communicate()
    bench.models.script("large", Reply("4"))

    again = bench.started("task.py", "--model", "moa/mix,moa/one:small")
    output, _ = again.communicate(timeout=120)

    assert again.returncode == 0, output
    assert "accuracy" in output
    assert bench.asked == {"small": 12, "large": 5}
    logs = [read_eval_log(each) for each in list_eval_logs(str(bench.folder / "logs"))]
    mixed = next(each for each in logs if each.eval.model == "moa/mix" and each.status == "success")
    assert [each.output.completion for each in samples_of(mixed)] == ["4", "4", "4"]
    assert [each.name for each in bench.folder.glob("runs.sqlite*")] == ["runs.sqlite"]


def test_a_wrong_name_is_told_in_a_sentence(bench: Bench, task: Path) -> None:
    process = bench.started("task.py", "--model", "moa/mixx", "-M", "journal=none")
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "has no pipeline 'mixx'; did you mean moa/mix?" in " ".join(output.split())
    assert "Traceback" not in output


def test_the_package_has_an_entry_point_for_inspect() -> None:
    found = {each.value for each in entry_points(group="inspect_ai")}
    assert "moa_mcp.evaluation.inspecting.registry" in found
