"""The tasks of a file, as the command line names them: ``FILE.py@TASK``. It reads the file and executes nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from moa_mcp.errors import MoaError
from moa_mcp.text.redact import redact
from moa_mcp.text.suggest import closest
from moa_mcp.text.visible import quoted

_SUFFIX = ".py"
_MARK = f"{_SUFFIX}@"
_SHOWN = 20

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class TaskRefused(MoaError):
    """A task of Inspect can't be used. The message says where; the remedy is another sentence."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(redact(message))
        self.remedy = redact(remedy)


class TaskParameter(Struct, frozen=True):
    """A parameter of a task, which ``-T NAME=VALUE`` sets."""

    name: str
    required: bool


class FoundTask(Struct, frozen=True):
    """A task that a file defines."""

    file: Path
    name: str
    line: int
    parameters: tuple[TaskParameter, ...]
    takes_any: bool
    """Whether it takes arguments with other names as well."""

    def __str__(self) -> str:
        return f"{self.file}@{self.name}"


def is_task(given: str) -> bool:
    """Whether a source of questions is a task of Inspect, and not a file with questions."""
    return given.endswith(_SUFFIX) or _MARK in given


def found(given: str) -> FoundTask:
    """Return the task that ``FILE.py@TASK`` names; without a name, the only one of the file. Raises `TaskRefused`."""
    file, name = _parts(given)
    tasks = _tasks(file)
    names = ", ".join(list(tasks)[:_SHOWN])
    if not tasks:
        raise TaskRefused(f"{file} defines no task", "A task is a function with the decorator @task of inspect_ai.")
    if name is None and len(tasks) > 1:
        raise TaskRefused(f"{file} defines {len(tasks)} tasks", f"Name one, as in {file}@{next(iter(tasks))}: {names}.")
    if name is not None and name not in tasks:
        near = closest(name, tasks)
        meant = f"; did you mean {near}?" if near else ""
        raise TaskRefused(f"{file} defines no task {quoted(name)}{meant}", f"Its tasks: {names}.")
    return tasks[name or next(iter(tasks))]


def _parts(given: str) -> tuple[Path, str | None]:
    path, mark, name = given.rpartition(_MARK)
    if not mark:
        return Path(given).expanduser(), None
    if not name:
        raise TaskRefused(f"{given} has no name after the @", "Write FILE.py@TASK.")
    return Path(f"{path}{_SUFFIX}").expanduser(), name


def _tasks(file: Path) -> dict[str, FoundTask]:
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except FileNotFoundError as error:
        raise TaskRefused(f"there is no file {file}", "Write a task of Inspect as FILE.py@TASK.") from error
    except OSError as error:
        raise TaskRefused(f"can't read {file}: {error.strerror}", "Choose another file.") from error
    except SyntaxError as error:
        raise TaskRefused(f"{file}, line {error.lineno}: {error.msg}", "Correct the file.") from error
    except ValueError as error:  # a null byte
        raise TaskRefused(f"{file} is not Python: {error}", "Choose another file.") from error
    return {each.name: each for each in _found(file, tree)}


def _found(file: Path, tree: ast.Module) -> Iterator[FoundTask]:
    for node in tree.body:
        if isinstance(node, _Function) and (decorator := _decorator(node)) is not None:
            takes = (*_positional(node.args), *_named(node.args))
            yield FoundTask(file, _name(decorator) or node.name, node.lineno, takes, node.args.kwarg is not None)


def _decorator(function: _Function) -> ast.expr | None:
    """Return the decorator that makes a function a task; None if it has none."""
    for each in function.decorator_list:
        bare = each.func if isinstance(each, ast.Call) else each
        name = bare.attr if isinstance(bare, ast.Attribute) else bare.id if isinstance(bare, ast.Name) else None
        if name == "task":
            return each
    return None


def _name(decorator: ast.expr) -> str | None:
    """Return the name that a decorator gives a task, ``@task(name="…")``."""
    if not isinstance(decorator, ast.Call):
        return None
    names = [
        each.value.value for each in decorator.keywords if each.arg == "name" and isinstance(each.value, ast.Constant)
    ]
    return names[0] if names and isinstance(names[0], str) else None


def _positional(arguments: ast.arguments) -> Iterator[TaskParameter]:
    every = (*arguments.posonlyargs, *arguments.args)
    first = len(every) - len(arguments.defaults)
    for number, each in enumerate(every):
        yield TaskParameter(each.arg, number < first)


def _named(arguments: ast.arguments) -> Iterator[TaskParameter]:
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield TaskParameter(each.arg, default is None)
