"""Makes the worked example of docs/evaluating.md: `python -m tools.evaluation_example`, with the extra `eval`.

It evaluates two pipelines of simulated members, whose competence and common errors are stated below, by the command and
over HTTP. It writes docs/examples/evaluation.json, docs/pictures/evaluation.png and the text between the marks in the
page, which is what the command prints for that JSON.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from moa_mcp.cli.eval.table import show
from moa_mcp.evaluation.report.json_file import read
from moa_mcp.evaluation.result import Evaluation
from tests.support.known_questions import file, sums
from tests.support.member_server import routes, serving
from tests.support.simulated_members import Member

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "evaluating.md"
RESULT = ROOT / "docs" / "examples" / "evaluation.json"
PICTURE = ROOT / "docs" / "pictures" / "evaluation.png"
BLOCK = re.compile(r"(?<=<!-- example -->\n).*?(?=<!-- end of example -->)", re.DOTALL)
COLUMNS = 100
QUESTIONS, SEED, LATENCY_S = 60, 1, 2.0
COMMAND = ("eval", "questions.jsonl", "--pipelines", "self_moa,mixed", "--baseline", "able")
MEMBERS = (
    Member("able", competence=0.7, shared=0.35, own=0.25, picks=0.85, sentences=0),
    Member("fair", competence=0.6, shared=0.35, own=0.2, sentences=0),
    Member("other", competence=0.6, shared=0.35, own=0.2, sentences=0),
)
PIPELINES = """
[pipelines.self_moa]
description = "Four samples of one model, merged."
steps = [
    { step = "propose", agents = [{ model = "able", samples = 4 }] },
    { step = "aggregate", agent = "able" },
]
[pipelines.mixed]
description = "Answers of three models, merged."
steps = [
    { step = "propose", agents = ["able", "fair", "other"], temperature = 0.5 },
    { step = "aggregate", agent = "able" },
]
"""


def main() -> None:
    """Evaluate, and write the result, the picture and the page."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        evaluated(folder, "--json", "result.json", "--png", str(PICTURE))
        content = json.loads((folder / "result.json").read_bytes())
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")
    PAGE.write_text(written(PAGE.read_text("utf-8"), read(RESULT)), "utf-8")


def evaluated(folder: Path, *options: str) -> None:
    """Run the command in a folder, at a server of the members."""
    questions = sums(QUESTIONS)
    file(questions, folder / "questions.jsonl")
    with serving(MEMBERS, questions, seed=SEED, latency_s=LATENCY_S) as server:
        (folder / "pipelines.toml").write_text(routes(MEMBERS, server.url) + PIPELINES, "utf-8")
        called(folder, (*COMMAND, "--config", "pipelines.toml", "--journal", "runs.sqlite", "--yes", *options))


def called(folder: Path, arguments: Sequence[str]) -> None:
    """Run moa-mcp in a folder, without the configuration and keys of its user."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environ = {**kept, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "moa_mcp", *arguments], cwd=folder, env=environ, check=True)


def written(page: str, evaluation: Evaluation) -> str:
    """Return the page with what the command prints for an evaluation."""
    block = f"```text\n$ moa-mcp {' '.join(COMMAND)}\n{printed(evaluation)}\n```\n"
    return BLOCK.sub(lambda _: block, page)


def printed(evaluation: Evaluation) -> str:
    """Return what the command prints for an evaluation, without colours and trailing blanks."""
    out = StringIO()
    show(Console(file=out, width=COLUMNS, color_system=None), evaluation)
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


if __name__ == "__main__":
    main()
