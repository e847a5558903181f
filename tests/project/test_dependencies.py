"""The package declares every distribution that it imports, and imports every one that it declares."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

from tests.project.structure import PACKAGE, ROOT, sources


def imported(text: str) -> Iterator[str]:
    """Yield the top-level packages that a module imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normalized(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    names = {name for source in sources(ROOT / PACKAGE) for name in imported(source.text)}
    foreign = names - sys.stdlib_module_names - {PACKAGE}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {name for requirements in project["optional-dependencies"].values() for name in declared(requirements)}
    installed = {name: {*map(normalized, found)} for name, found in packages_distributions().items()}
    needed = {distribution for name in foreign if not installed[name] & extras for distribution in installed[name]}
    assert needed == declared(project["dependencies"])
