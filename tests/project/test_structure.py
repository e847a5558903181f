"""The structure holds: rooms without cycles, short functions and modules, one class for each public name.

`python -m tests.project.structure` prints the figures.
"""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.project.structure import PACKAGE, ROOT, cycle, rooms, sources

MODULE_LINES = 420
FUNCTION_LINES = 60
SOURCES = sources(ROOT / PACKAGE)


def test_no_rooms_import_each_other_in_a_cycle() -> None:
    assert cycle(rooms()) == []


def test_no_module_is_longer_than_its_limit() -> None:
    assert [source.path for source in SOURCES if source.lines > MODULE_LINES] == []


def test_no_function_is_longer_than_its_limit() -> None:
    assert [source.path for source in SOURCES if max(source.functions, default=0) > FUNCTION_LINES] == []


def test_every_module_and_room_has_a_docstring() -> None:
    every = (ROOT / PACKAGE).rglob("*.py")
    assert [path for path in every if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


def test_no_two_public_classes_have_the_same_name() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for source in SOURCES:
        for node in ast.parse(source.text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(source.path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}
