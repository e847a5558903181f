"""Prints figures of the package's structure: `python -m tests.project.structure`.

Modules, functions, comments, and the imports between the package's top-level modules and subpackages ("rooms").
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "moa_mcp"


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file."""

    path: Path
    text: str

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def functions(self) -> list[int]:
        """The lines of each function."""
        nodes = ast.walk(ast.parse(self.text))
        return [
            (node.end_lineno or node.lineno) - node.lineno + 1
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    @property
    def comments(self) -> int:
        return sum(
            token.type == tokenize.COMMENT for token in tokenize.generate_tokens(io.StringIO(self.text).readline)
        )

    @property
    def code(self) -> int:
        """The lines that hold more than a comment or blanks."""
        return sum(bool(line.strip()) and not line.strip().startswith("#") for line in self.text.splitlines())


def sources(folder: Path) -> list[Source]:
    return [
        Source(path, path.read_text("utf-8"))
        for path in sorted(folder.rglob("*.py"))
        if "node_modules" not in path.parts and path.stat().st_size
    ]


def rooms(package: str = PACKAGE) -> Mapping[str, set[str]]:
    """Return the rooms that each room imports."""
    graph = grimp.build_graph(package, cache_dir=None)
    known: dict[str, set[str]] = {}
    for module in graph.modules - {package}:
        imported = {_room(other) for other in graph.find_modules_directly_imported_by(module) if other != package}
        known.setdefault(_room(module), set()).update(imported - {_room(module)})
    return known


def _room(module: str) -> str:
    return module.split(".")[1]


def cycle(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """Return rooms of which each imports the next and the last the first; empty if there are none."""
    left = {room: set(imported) for room, imported in arrows.items()}
    while floor := [room for room, imported in left.items() if not imported & left.keys()]:
        for room in floor:
            del left[room]
    path: list[str] = []
    room = min(left, default="")
    while room and room not in path:
        path.append(room)
        room = min(left[room] & left.keys())
    return path[path.index(room) :] if room else []


def floors(arrows: Mapping[str, Iterable[str]]) -> int:
    """Return how many layers the rooms form, each of which imports only from those below it."""
    left, count = {room: set(imported) for room, imported in arrows.items()}, 0
    while left:
        floor = [room for room, imported in left.items() if not imported & left.keys()]
        if not floor:
            raise ValueError(f"an import cycle: {' -> '.join(cycle(arrows))}")
        for room in floor:
            del left[room]
        count += 1
    return count


def figures() -> Iterator[tuple[str, str]]:
    """Yield each figure with its name."""
    package, tests = sources(ROOT / PACKAGE), sources(ROOT / "tests")
    functions = sorted(length for source in package for length in source.functions)
    code, arrows = sum(source.code for source in package), rooms()
    lines = [source.lines for source in package]
    flat = [path for path in (ROOT / PACKAGE).glob("*.py") if not path.stem.startswith("__")]
    yield "modules; median / longest lines", f"{len(package)}; {statistics.median(lines):.0f}/{max(lines)}"
    p90 = functions[len(functions) * 9 // 10]
    yield "function median / p90 / longest", f"{statistics.median(functions):.0f}/{p90}/{functions[-1]}"
    yield "modules flat at the top", str(len(flat))
    yield "comments per 100 code lines", f"{100 * sum(source.comments for source in package) / code:.1f}"
    yield "test lines per code line", f"{sum(source.code for source in tests) / code:.2f}"
    yield "rooms; arrows; floors", f"{len(arrows)}; {sum(map(len, arrows.values()))}; {floors(arrows)}"
    yield "import cycles between rooms", " -> ".join(cycle(arrows)) or "none"


def main() -> None:
    print("| | moa-mcp |\n|---|---|")  # noqa: T201
    for name, figure in figures():
        print(f"| {name} | {figure} |")  # noqa: T201


if __name__ == "__main__":
    main()
