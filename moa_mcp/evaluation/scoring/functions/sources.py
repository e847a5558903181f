"""The files that a scoring function consists of: its own, and those of its folder that it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path


def digest_of_sources(path: Path) -> str:
    """Return a hash of the contents of a file and of the modules in its folder that it imports, directly or not."""
    digest = sha256()
    for source in sorted(_sources(path)):
        digest.update(f"{source.relative_to(path.parent).as_posix()}\0".encode("utf-8", "surrogateescape"))
        digest.update(sha256(source.read_bytes()).digest())
    return digest.hexdigest()


def _sources(path: Path) -> set[Path]:
    found, left = {path}, [path]
    while left:
        new = {*_imported(left.pop(), path.parent)} - found
        found |= new
        left += new
    return found


def _imported(path: Path, folder: Path) -> Iterator[Path]:
    """Yield the modules of a folder that a file imports. A file that is not Python imports none."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        for name in _names(node):
            parts = name.split(".")
            for length in range(1, len(parts) + 1):
                at = folder.joinpath(*parts[:length])
                yield from (each for each in (at.with_name(f"{at.name}.py"), at / "__init__.py") if each.is_file())


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (name.name for name in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield from (f"{module}.{name.name}" for name in names)
        case _:
            pass
