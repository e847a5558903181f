"""Evaluations that a model server answers: their files, the command, its result, and what the models were asked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from click.testing import Result

from moa_mcp.evaluation.result import Evaluation, Outcome
from tests.cli.test_cli import invoke
from tests.support.model_server import Body, ModelServer, Received, Reply

MODELS = ("first", "last", "judge")
PRICE = ", usd_per_million = { prompt = 0, completion = 1000 }"
"""A call costs at most 100 tokens of answer: $0.1."""
TRIO = '{ step = "propose", agents = [{ model = "first", samples = 3 }] }, { step = "aggregate", agent = "last" }'
ONE = '{ step = "propose", agents = ["first"] }'
_SUM = re.compile(r"(\d+) \+ (\d+)")


def sums(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return questions with their answers."""
    return [
        {"id": f"q{number}", "question": f"What is {number} + {number * 3}?", "answer": number * 4}
        for number in range(first, first + count)
    ]


def solver(right: float = 1.0) -> Callable[[Body], str]:
    """Return what answers sums: that share of them right, which ones depends on the model and the sum alone."""

    def answer(body: Body) -> str:
        found = _SUM.search(asked_in(body))
        if found is None:
            return "I can't say."
        value = int(found[1]) + int(found[2])
        lot = crc32(f"{body['model']}/{found[0]}".encode()) % 1000 / 1000
        return f"The answer is {value if lot < right else value + 1}."

    return answer


def judging(field: str, verdict: Callable[[str], object]) -> Callable[[Body], str]:
    """Return what replies with a verdict on what it is shown, in the form that its prompt asks for."""

    def reply(body: Body) -> str:
        key = re.findall(r'"key": "([a-z]+)"', str(body["messages"][0]["content"]))[-1]
        return json.dumps({"key": key, "reason": "So it is.", field: verdict(asked_in(body))})

    return reply


def asked_in(body: Body) -> str:
    """Return the last message of a request."""
    return str(body["messages"][-1]["content"])


@dataclass(frozen=True)
class EvalDesk:
    """A folder with a configuration, a journal and question files, and the server that has the models."""

    folder: Path
    models: ModelServer

    def configure(self, settings: str = "", price: str = PRICE, **pipelines: str) -> None:
        """Write the configuration with these pipelines; by default `trio` alone."""
        routes = [
            f'models.{name}.routes = [{{ model = "openai/{name}", api_base = "{self.models.url}"{price} }}]'
            for name in MODELS
        ]
        steps = pipelines or {"trio": TRIO}
        tables = [f'pipelines.{name} = {{ description = "x", steps = [{each}] }}' for name, each in steps.items()]
        whole = ["defaults.max_tokens = 100", *routes, *tables, settings]
        (self.folder / "pipelines.toml").write_text("\n".join(whole), "utf-8")

    @property
    def options(self) -> tuple[str, ...]:
        return ("--config", str(self.folder / "pipelines.toml"), "--journal", str(self.folder / "runs.sqlite"))

    @property
    def result_file(self) -> Path:
        return self.folder / "result.json"

    def write(self, content: str | bytes, name: str = "q.jsonl") -> str:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def ask(self, questions: Sequence[object], name: str = "q.jsonl") -> str:
        """Write a question file."""
        return self.write("".join(f"{json.dumps(each)}\n" for each in questions), name)

    def command(self, file: str, *args: str, pipelines: str = "trio") -> list[str]:
        """Return the arguments that evaluate pipelines on a file."""
        result = ("--json", str(self.result_file))
        return ["eval", file, "--pipelines", pipelines, *result, *self.options, *args]

    def start(self, file: str, *args: str, pipelines: str = "trio") -> Result:
        """Start an evaluation in this process."""
        return invoke(
            *self.command(file, *args, pipelines=pipelines), XDG_DATA_HOME=str(self.folder), OPENAI_API_KEY="k"
        )

    def done(self, file: str, *args: str, pipelines: str = "trio") -> Evaluation:
        """Return the result of an evaluation that completes."""
        done = self.start(file, *args, pipelines=pipelines)
        assert done.exit_code == 0, done.output
        return self.result

    @property
    def result(self) -> Evaluation:
        return Evaluation.model_validate_json(self.result_file.read_text("utf-8"))

    @property
    def requests(self) -> Sequence[Received]:
        return [each for each in self.models.requests if each.body]

    @property
    def asked(self) -> Counter[tuple[str, str]]:
        """The models that were asked, and what."""
        return Counter((each.model, asked_in(each.body)) for each in self.requests)


def outcomes_of(result: Evaluation, contestant: str) -> dict[str, Outcome]:
    """Return the outcomes of a contestant by question."""
    return {each.question: each for each in result.outcomes if each.contestant == contestant}


def solving(models: ModelServer, **right: float) -> None:
    """Let the models answer sums, each that share of them right."""
    for name in MODELS:
        models.script(name, Reply(solver(right.get(name, 1.0))))
