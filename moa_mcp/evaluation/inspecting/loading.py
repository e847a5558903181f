"""Loads a task of Inspect, with its samples as questions. Errors of its file are reported with their line."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from inspect_ai import (
    Epochs,
    Task,
    task_with,  # pyright: ignore[reportUnknownVariableType]  types of a package that is optional
)
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage
from msgspec import Struct
from pydantic import JsonValue

from moa_mcp.batch.items import Item
from moa_mcp.evaluation.asking import Ask
from moa_mcp.evaluation.execution.plan import Judgement
from moa_mcp.evaluation.inspecting.private import prerequisite, task_of
from moa_mcp.evaluation.inspecting.rescoring import asks_alone
from moa_mcp.evaluation.inspecting.source import FoundTask, TaskRefused, found
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.questions import sampled
from moa_mcp.evaluation.scoring.score import Scorer
from moa_mcp.text.suggest import closest
from moa_mcp.text.surrogates import mended
from moa_mcp.text.visible import quoted

_LONGEST = 300
"""Characters of what a file of a user raised."""


class LoadedTask(Struct, frozen=True):
    """A task whose samples can be asked."""

    name: str
    """As the result names it: its file and name."""
    task: Task
    questions: tuple[EvalQuestion, ...]
    """Its samples in their order. A solver may ask them in other words."""
    digest: str
    """Of the file of the task and its arguments. The samples are not in it: they are questions."""
    epochs: int
    """How often each sample is asked."""
    total: int
    """The number of all its samples."""

    @property
    def judgement(self) -> Judgement:
        """How its answers are judged: by the task itself, which its digest stands for."""
        return Judgement(self.digest, scorer=_scored_by_inspect)

    def of(self, questions: Sequence[EvalQuestion]) -> Task:
        """Return the task with these of its samples."""
        chosen = {each.id for each in questions}
        samples = [each for each in self.task.dataset if str(each.id) in chosen]
        return task_with(self.task, dataset=MemoryDataset(samples, name=self.task.dataset.name))


def load(given: str, arguments: Mapping[str, JsonValue], size: int | None = None, seed: int = 0) -> LoadedTask:
    """Return the task ``FILE.py@TASK`` with all samples, or a random sample of `size` of them.

    Raises:
        TaskRefused: there is no such task, it needs other arguments, or its file raises an error.

    """
    source = found(given)
    _check(source, arguments)
    task = _loaded(source, arguments)
    if not task.scorer and asks_alone(task):  # another solver may write scores itself
        raise TaskRefused(f"{source} has no scorer", "Give it one: Task(..., scorer=match()).")
    for number, each in enumerate(task.dataset, 1):
        each.id = number if each.id is None else each.id
    every = [*_questions(source, task)]
    content = [sha256(source.file.read_bytes()).hexdigest(), source.name, dict(arguments)]
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    epochs = task.epochs.epochs if isinstance(task.epochs, Epochs) else task.epochs
    return LoadedTask(
        f"{source.file.name}@{source.name}", task, sampled(every, size, seed), digest, epochs or 1, len(every)
    )


def _scored_by_inspect(ask: Ask) -> Scorer:
    raise TypeError(f"the answers to a task are scored by Inspect, not with {ask}")


def _check(source: FoundTask, arguments: Mapping[str, JsonValue]) -> None:
    names = [each.name for each in source.parameters]
    takes = f"Its parameters: {', '.join(names) or 'none'}."
    for name in arguments:
        if name not in names and not source.takes_any:
            near = closest(name, names)
            meant = f"; did you mean {near}?" if near else ""
            raise TaskRefused(f"{source} has no parameter {quoted(name)}{meant}", takes)
    if missing := [each.name for each in source.parameters if each.required and each.name not in arguments]:
        raise TaskRefused(
            f"{source} needs {', '.join(missing)}", f"Add {' '.join(f'-T {name}=VALUE' for name in missing)}. {takes}"
        )


def _loaded(source: FoundTask, arguments: Mapping[str, JsonValue]) -> Task:
    try:
        return task_of(str(source), arguments)
    except Exception as error:  # the file of a user may raise anything
        message = str(getattr(error, "message", "")) if isinstance(error, type(prerequisite(""))) else str(error)
        what = message if isinstance(error, type(prerequisite(""))) else f"{type(error).__name__}: {message}"
        raise TaskRefused(
            f"{_place(source, error)}: {what[:_LONGEST]}", "Correct the task, or its arguments."
        ) from error


def _place(source: FoundTask, error: Exception) -> str:
    """Return the last line in the folder of a task that led to an error, and the file of the task if there is none."""
    folder = source.file.parent.resolve()
    frames = [
        each
        for each in traceback.extract_tb(error.__traceback__)
        if Path(each.filename).is_absolute()
        and Path(each.filename).resolve().is_relative_to(folder)
        and "site-packages" not in each.filename
    ]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else str(source)


def _questions(source: FoundTask, task: Task) -> Iterator[EvalQuestion]:
    if not len(task.dataset):
        raise TaskRefused(f"{source} has no samples", "Choose another task, or other arguments.")
    known: set[str] = set()
    for each in task.dataset:
        if str(each.id) in known:
            raise TaskRefused(f"{source} has two samples with the ID {quoted(str(each.id))}", "IDs must differ.")
        known.add(str(each.id))
        yield _question(each)


def _question(sample: Sample) -> EvalQuestion:
    text, system = _asked(sample.input)
    target = sample.target if isinstance(sample.target, str) else ", ".join(sample.target)
    cluster = (sample.metadata or {}).get("cluster")
    return EvalQuestion(
        str(sample.id),
        Item(0, text, system=system),
        mended(target) or None,
        tuple(sample.choices or ()),
        str(cluster) if isinstance(cluster, str | int) else None,
    )


def _asked(given: str | list[ChatMessage]) -> tuple[str, str | None]:
    """Return the question of a sample, which is its last message, and its system prompt."""
    if isinstance(given, str):
        return mended(given), None
    system = [each.text for each in given if each.role == "system"]
    users = [each.text for each in given if each.role == "user"]
    return mended(users[-1] if users else ""), mended("\n\n".join(system)) or None
