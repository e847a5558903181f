"""Evaluations of simulated members over HTTP: their files, the command as a process, and what is true of them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from moa_mcp.evaluation.result import Evaluation
from tests.support.known_questions import KnownQuestion, file
from tests.support.member_server import MemberServer, Seen, routes
from tests.support.serving import MEASURED
from tests.support.simulated_members import Member

ROOT = Path(__file__).parent.parent.parent
PANEL = (
    Member("able", 0.75, shared=0.3, own=0.2),
    Member("fair", 0.6, shared=0.3, own=0.2),
    Member("other", 0.6, shared=0.3, own=0.2),
    Member("third", 0.65, shared=0.3, own=0.2),
)
PIPELINES = """
[pipelines.self_moa]
description = "Merges six samples of one model."
steps = [
    { step = "propose", agents = [{ model = "able", samples = 6 }] },
    { step = "aggregate", agent = "able" },
]
[pipelines.vote]
description = "A judge chooses one of three answers."
steps = [
    { step = "propose", agents = ["fair", "other", "third"], temperature = 0.3 },
    { step = "vote", agent = "able" },
]
[pipelines.council]
description = "Three models answer and rank each other's answers, one merges."
steps = [
    { step = "propose", agents = ["fair", "other", "third"], temperature = 0.5 },
    { step = "review", agents = ["fair", "other", "third"] },
    { step = "aggregate", agent = "third" },
]
"""


@dataclass(frozen=True, slots=True)
class EvalFolder:
    """A folder with a configuration, a journal and questions, and the server that has the models."""

    path: Path
    server: MemberServer
    members: Sequence[Member] = PANEL
    environ: Mapping[str, str] = field(default_factory=dict)

    def configure(self, pipelines: str = PIPELINES) -> None:
        """Write the configuration."""
        (self.path / "pipelines.toml").write_text(routes(self.members, self.server.url) + pipelines, "utf-8")

    def ask(self, questions: Sequence[KnownQuestion], *, answered: bool = True) -> Path:
        """Write a question file and return its path."""
        return file(questions, self.path / "questions.jsonl", answered=answered)

    def command(self, *arguments: object) -> list[str]:
        """Return the command with the questions, the configuration, the journal and the result in the folder."""
        paths = {"--config": "pipelines.toml", "--journal": "runs.sqlite", "--json": "result.json"}
        options = [word for name, path in paths.items() for word in (name, str(self.path / path))]
        given = ("eval", self.path / "questions.jsonl", *options, *arguments)
        return [sys.executable, "-m", "moa_mcp", *map(str, given)]

    def started(self, *arguments: object) -> subprocess.Popen[str]:
        """Start the command."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*arguments), env=self.processes, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            self.command(*arguments), env=self.processes, capture_output=True, text=True, check=False, timeout=120
        )

    def evaluated(self, *arguments: object, code: int = 0) -> Evaluation:
        """Run the command, which must end with this code, and return the result that it wrote."""
        done = self.run(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return self.result

    @property
    def result(self) -> Evaluation:
        """The result that was written last."""
        return Evaluation.model_validate_json((self.path / "result.json").read_bytes())

    @property
    def json(self) -> dict[str, Any]:
        """The same as a script reads it."""
        found: dict[str, Any] = json.loads((self.path / "result.json").read_bytes())
        return found

    @property
    def processes(self) -> dict[str, str]:
        """The environment of processes: that of a user without keys whose files are in the folder."""
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "SYSTEMROOT"}}
        own = {"HOME": str(self.path), "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
        return {**MEASURED, **kept, **own, **self.environ}


def right_by_question(seen: Sequence[Seen], model: str, part: str, temperature: float = 0.7) -> dict[str, float]:
    """Return the share of right answers that a model gave to each question, as the server knows it."""
    found: dict[str, list[bool]] = {}
    for each in seen:
        if (each.model, each.part, each.temperature) == (model, part, temperature):
            found.setdefault(each.question, []).append(bool(each.right))
    return {question: sum(right) / len(right) for question, right in found.items()}


class Recorded(NamedTuple):
    """A call that has an answer in a journal."""

    question: str
    """Its text, if that is short."""
    pipeline: str
    step: int
    model: str


def recorded(journal: Path) -> set[Recorded]:
    """Return the calls of a SQLite journal that have an answer."""
    with closing(sqlite3.connect(journal)) as db:
        found = db.execute("SELECT run_id, title, pipeline, body FROM runs JOIN events USING (run_id)").fetchall()
    agents: dict[tuple[str, tuple[int, ...]], str] = {}
    ended: set[Recorded] = set()
    for run_id, title, pipeline, body in found:
        for event in map(json.loads, body.splitlines()):
            place = run_id, tuple(event.get("place", ()))
            if event["kind"] == "call_started":
                agents[place] = event["agent"]
            if event["kind"] == "attempt_finished":
                ended.add(Recorded(title, pipeline, place[1][0], agents[place]))
    return ended
