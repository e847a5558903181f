"""Steps own what they are: no module outside `moa_mcp/steps/` asks of which kind a step is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from inspect import getmembers, isclass
from pathlib import Path

import pytest

import moa_mcp.steps
from moa_mcp.config import STEP_TYPES
from moa_mcp.steps import StepBase

PACKAGE = Path(moa_mcp.steps.__file__).parent.parent
CLASSES = {name for name, each in getmembers(moa_mcp.steps, isclass) if issubclass(each, StepBase)}
KINDS = {"kind", "step", "step_kind"}
"""Attributes and variables that hold the kind of a step."""


def names(*nodes: ast.AST | None) -> set[str]:
    """Return the names in expressions, with those of attributes and the texts of constants."""
    found: set[str] = set()
    for each in (inner for node in nodes if node is not None for inner in ast.walk(node)):
        match each:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                found.add(name)
            case _:
                pass
    return found


def asks(node: ast.AST) -> bool:
    """Whether a node asks of which kind a step is."""
    match node:
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
            return bool(names(kinds) & CLASSES)
        case ast.MatchClass(cls=kind):
            return bool(names(kind) & CLASSES)
        case ast.Match(subject=subject, cases=cases):
            values = [each for case in cases for each in ast.walk(case.pattern) if isinstance(each, ast.MatchValue)]
            return bool(names(subject) & KINDS and names(*values) & STEP_TYPES.keys())
        case ast.Compare():
            found = names(node)
            return bool(found & CLASSES or (found & KINDS and found & STEP_TYPES.keys()))
        case ast.Dict(keys=keys):
            return bool(names(*keys) & CLASSES) or len(names(*keys) & STEP_TYPES.keys()) > 1
        case _:
            return False


def questions(source: str) -> Iterator[int]:
    """Yield the lines that ask of which kind a step is."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.expr | ast.stmt | ast.pattern) and asks(node):
            yield node.lineno


def test_no_module_outside_steps_asks_of_which_kind_a_step_is() -> None:
    outside = [path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "steps")]
    found = [f"{path}:{line}" for path in outside for line in questions(path.read_text("utf-8"))]
    assert len(outside) > 100
    assert not found, "move this into the step: " + ", ".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(step, Rank | Vote)",
        "isinstance(step, steps.Propose)",
        "issubclass(type(step), (ModelStep, int))",
        "match step:\n    case Vote(method='judge'):\n        pass",
        "match step.kind:\n    case 'rank':\n        pass",
        "step.kind == 'rank'",
        "trace.steps[0].kind in {'rank', 'vote'}",
        "type(step) is Refine",
        "{'propose': 1, 'rank': 2}[step.step]",
        "{Rank: 1}[type(step)]",
    ],
)
def test_every_way_to_ask_of_which_kind_a_step_is_is_found(source: str) -> None:
    assert list(questions(source))


@pytest.mark.parametrize(
    "source", ["isinstance(event, StepStarted)", "step.step == 3", "event.kind == 'call_finished'"]
)
def test_what_asks_something_else_is_not_found(source: str) -> None:
    assert not list(questions(source))
