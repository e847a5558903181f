"""A task of Inspect as the questions: ``moa-mcp eval FILE.py@TASK``. It has a scorer of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from moa_mcp.cli.eval.extra import check_extra
from moa_mcp.cli.eval.judging import ScoreOptions
from moa_mcp.cli.eval.source import Chosen, Source, about_sample
from moa_mcp.cli.options import Refused
from moa_mcp.schemas import NotJson, parsed
from moa_mcp.text.visible import quoted

if TYPE_CHECKING:
    from moa_mcp.evaluation.inspecting.loading import LoadedTask

_OWN_SCORER = "A task is scored by its own scorer. Remove this option, or change the task."
_OWN_QUESTIONS = "A task writes its questions itself. Remove this option, or change the task."


def check_task_options(source: Source, scoring: ScoreOptions, judge: str | None) -> None:
    """Raise `Refused` for an option that a task has no use for."""
    of_scoring = {
        "--score": scoring.how,
        "--extract": scoring.extract,
        "--tolerance": scoring.tolerance,
        "--decimal": scoring.decimal,
        "--subset": scoring.subset or None,
        "--rubric": scoring.rubric,
        "--judge": judge,
    }
    of_questions = {"--format": source.form, "--context": source.context, "--system": source.system}
    for options, remedy in ((of_scoring, _OWN_SCORER), (of_questions, _OWN_QUESTIONS)):
        for name, value in options.items():
            if value is not None:
                raise Refused(f"{name} has no effect on {source.path}, a task of Inspect", remedy)


def task_of(source: Source) -> LoadedTask:
    """Return the task with its questions. Raises `Refused`."""
    check_extra("inspect_ai")
    from moa_mcp.evaluation.inspecting.loading import load  # noqa: PLC0415  the library of an extra
    from moa_mcp.evaluation.inspecting.source import TaskRefused  # noqa: PLC0415  as above

    try:
        return load(source.path, _arguments(source.arguments), source.sample, source.seed)
    except TaskRefused as error:
        raise Refused(str(error), error.remedy) from error


def chosen_of(task: LoadedTask, source: Source) -> Chosen:
    """Return the questions of a task."""
    notes = list(about_sample(len(task.questions), task.total, source))
    if task.epochs > 1:
        notes.append(
            f"Each question was asked {task.epochs} times: its score is the mean, and its cost and calls are those of "
            "one time, on average. An estimate is for one time."
        )
    return Chosen(task.questions, task.total, tuple(notes))


def _arguments(given: Sequence[str]) -> Mapping[str, JsonValue]:
    """Return arguments ``NAME=VALUE``, whose value may be JSON. Raises `Refused`."""
    found: dict[str, JsonValue] = {}
    for each in given:
        name, mark, value = each.partition("=")
        if not mark or not name.strip():
            raise Refused(f"-T {quoted(each)} is not NAME=VALUE", "Write it as -T count=50.")
        try:
            found[name.strip()] = parsed(value)
        except NotJson:
            found[name.strip()] = value
    return found
