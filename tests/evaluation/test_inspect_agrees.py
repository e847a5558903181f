"""`inspect eval --model moa/PIPELINE` and `moa-mcp eval` agree on the same questions, which others wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from inspect_ai.log import list_eval_logs, read_eval_log

from tests.support.eval_folder import PANEL, EvalFolder
from tests.support.known_questions import NUMBERS, gym
from tests.support.member_server import serving

TASK = """
import moa_mcp.evaluation.inspecting.registry
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, scorer
from inspect_ai.solver import generate
from moa_mcp.extraction.numbers import last_number

@scorer(metrics=[accuracy()])
def same_number():
    async def score(state, target):
        right = last_number(state.output.completion) == last_number(target.text)
        return Score(value=CORRECT if right else INCORRECT, answer=state.output.completion)
    return score

@task
def questions():
    fields = FieldSpec(input="question", target="answer", id="id")
    return Task(dataset=json_dataset("questions.jsonl", fields), solver=generate(), scorer=same_number())
"""


def test_inspect_and_the_command_get_the_same_answers_and_scores(tmp_path: Path) -> None:
    questions = gym(20, *NUMBERS)
    with serving(PANEL, questions) as server:
        folder = EvalFolder(tmp_path, server)
        folder.configure()
        folder.ask(questions)
        (tmp_path / "task.py").write_text(TASK, "utf-8")
        result = folder.evaluated("--pipelines", "self_moa", "--yes", "-q")
        given = ("-M", f"pipelines={tmp_path / 'pipelines.toml'}", "-M", "journal=none", "--display", "none")
        command = [sys.executable, "-m", "inspect_ai", "eval", "task.py", "--model", "moa/self_moa", *given]
        done = subprocess.run(
            command, cwd=tmp_path, env=folder.processes, capture_output=True, text=True, check=False, timeout=300
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (log,) = (read_eval_log(each) for each in list_eval_logs(str(tmp_path / "logs")))
    answers = {str(each.id): (each.output.completion, each.scores) for each in log.samples or ()}
    own = {each.question: each for each in result.outcomes if each.contestant == "self_moa"}
    assert {name: answer for name, (answer, _) in answers.items()} == {name: each.answer for name, each in own.items()}
    for name, (_, scores) in answers.items():
        assert scores is not None
        assert (scores["same_number"].value == "C") == (own[name].score == 1.0)
