"""Batches that a model server answers: their configuration, their files, and what became of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import Result

from tests.cli.test_cli import invoke
from tests.support.model_server import ModelServer, Received

ONE_STEP = '{ step = "propose", agents = ["first"], max_tokens = 100 }'
PRICE = ", usd_per_million = { prompt = 0, completion = 1000 }"
"""A call costs at most 100 tokens of answer: $0.1."""


@dataclass(frozen=True)
class Desk:
    """A folder with a configuration, a journal and question files, and the server that has the models."""

    folder: Path
    models: ModelServer

    def configure(self, *steps: str, settings: str = "", price: str = PRICE) -> None:
        """Write the configuration, whose only pipeline is `one`."""
        routes = [
            f'models.{name}.routes = [{{ model = "openai/{name}", api_base = "{self.models.url}"{price} }}]'
            for name in ("first", "last")
        ]
        pipeline = f'pipelines.one = {{ description = "x", steps = [{", ".join(steps or (ONE_STEP,))}] }}'
        (self.folder / "pipelines.toml").write_text("\n".join([*routes, pipeline, settings]), "utf-8")

    @property
    def options(self) -> tuple[str, ...]:
        return ("--config", str(self.folder / "pipelines.toml"), "--journal", str(self.folder / "runs.sqlite"))

    def write(self, content: str | bytes, name: str = "q.jsonl") -> str:
        """Write a question file and return its path."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def ask(self, *questions: str | dict[str, Any], name: str = "q.jsonl") -> str:
        """Write a question file with these items."""
        return self.write("".join(f"{json.dumps(each)}\n" for each in questions), name)

    def start(self, file: str, *args: str, **environ: str) -> Result:
        """Start the batch in this process, with its output in `out.jsonl`."""
        return invoke("batch", "one", file, "-o", str(self.out), *self.options, *args, **environ)

    def done(self, file: str, *args: str) -> list[dict[str, Any]]:
        """Start a batch that answers all of its items; return the lines."""
        result = self.start(file, *args)
        assert (result.exit_code, result.stdout) == (0, ""), result.output
        return self.lines

    @property
    def out(self) -> Path:
        return self.folder / "out.jsonl"

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text("ascii").splitlines()]

    @property
    def asked(self) -> Counter[str]:
        """What the models were asked."""
        return Counter(question_of(each) for each in self.models.requests)


def question_of(request: Received) -> str:
    """Return the last message of a request."""
    return str(request.body["messages"][-1]["content"])
