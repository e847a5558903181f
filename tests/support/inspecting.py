"""Evaluations with Inspect in this process or another one, whose models a server on loopback has."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inspect_ai
from inspect_ai import Task
from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import get_model

import moa_mcp.evaluation.inspecting.registry  # noqa: F401  the entry point, wherever the package is installed
from tests.support.model_server import ModelServer

PRICED = ", usd_per_million = { prompt = 1, completion = 1000 }"
_CONFIGURATION = """
models.small.routes = [{{ model = "openai/small", api_base = "{url}"{price}, n = 1 }}]
models.large.routes = [{{ model = "openai/large", api_base = "{url}"{price}, n = 1 }}]

[limits]
attempts = 1

[pipelines.mix]
description = "x"
steps = [
    {{ step = "propose", agents = [{{ model = "small", samples = 3 }}] }},
    {{ step = "aggregate", agent = "large" }},
]

[pipelines.pair]
description = "x"
steps = [
    {{ step = "propose", agents = ["small", "large"] }},
    {{ step = "vote", method = "majority" }},
]
"""


@dataclass(frozen=True)
class Bench:
    """A folder with a configuration, a journal and logs, and the server that has the models `small` and `large`."""

    folder: Path
    models: ModelServer

    def configure(self, price: str = PRICED, settings: str = "") -> None:
        """Write the configuration, with the pipelines `mix` and `pair`."""
        text = _CONFIGURATION.format(url=self.models.url, price=price)
        self.config.write_text(f"{text}\n{settings}", "utf-8")

    @property
    def config(self) -> Path:
        return self.folder / "pipelines.toml"

    @property
    def arguments(self) -> dict[str, Any]:
        return {"pipelines": str(self.config), "journal": str(self.folder / "runs.sqlite")}

    def model(self, name: str, **arguments: Any) -> Any:
        return get_model(f"moa/{name}", memoize=False, **{**self.arguments, **arguments})

    def evaluated(self, task: Task, *names: str, arguments: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Return the logs of a task for these models, by name."""
        with restored():
            logs = inspect_ai.eval(
                task,
                model=[self.model(name, **(arguments or {})) for name in names],
                log_dir=str(self.folder / "logs"),
                display="none",
                fail_on_error=False,
                ctl_server=False,
                **options,
            )
        return {log.eval.model.removeprefix("moa/"): log for log in logs}

    def samples(self, task: Task, name: str, **options: Any) -> list[EvalSample]:
        """Return what became of the samples of a task for a model."""
        return samples_of(self.evaluated(task, name, **options)[name])

    def started(self, *args: str) -> subprocess.Popen[str]:
        """Start `inspect eval` in a process of its own."""
        given = [f"{name}={value}" for name, value in self.arguments.items()]
        return subprocess.Popen(
            [sys.executable, "-m", "inspect_ai", "eval", *args, *(part for each in given for part in ("-M", each))],
            cwd=self.folder,
            env={**os.environ, "INSPECT_DISPLAY": "plain", "NO_COLOR": "1", "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def asked(self) -> Counter[str]:
        """How often each model was asked."""
        return Counter(each.model for each in self.models.requests)


def samples_of(log: EvalLog) -> list[EvalSample]:
    """Return the samples of a log, in their order."""
    return sorted(log.samples or [], key=lambda each: (str(each.id), each.epoch))


@contextmanager
def restored() -> Iterator[None]:
    """Restore what Inspect changes in a process: the handlers and levels of logging, and the hook for exceptions.

    It leaves streams of its samples open and uses what its libraries deprecate; these warnings end here.
    """
    root = logging.getLogger()
    handlers, level, hook = [*root.handlers], root.level, sys.excepthook
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            sys.excepthook = hook
            gc.collect()
