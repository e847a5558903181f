"""Loads a scoring function from a file of the user, named as ``FILE.py:FUNCTION``. It runs with the user's rights."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from msgspec import Struct

from moa_mcp.evaluation.scoring.functions.failures import described
from moa_mcp.evaluation.scoring.functions.parameters import Signature, SignatureRefused, parameters_of
from moa_mcp.evaluation.scoring.functions.sources import digest_of_sources
from moa_mcp.text.suggest import similar
from moa_mcp.text.visible import quoted

_USUAL = "score"


class FunctionRefused(ValueError):
    """A scoring function can't be used. The message names file, line and function."""


class UserFunction(Struct, frozen=True):
    """A function of the user."""

    path: Path
    """Of its file, resolved."""
    name: str
    call: Callable[..., object]
    parameters: Signature
    digest: str
    """Of its file, and of the files in the same folder that this imports."""


def function_at(written: str) -> UserFunction:
    """Return the function that ``FILE.py:FUNCTION`` names; without a name, the function ``score``.

    Raises:
        FunctionRefused: the file or the function is missing, fails when it is loaded, or can't be called.

    """
    named, colon, name = written.rpartition(":")
    if not colon or not name.isidentifier():
        named, name = written, _USUAL
    path = Path(named).expanduser()
    try:
        path = path.resolve(strict=True)
        digest = digest_of_sources(path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise FunctionRefused(f"{quoted(named)} can't be read: {reason}") from error
    module = _module(path, digest)
    call = getattr(module, name, None)
    if not callable(call):
        raise FunctionRefused(f"{path.name} {_lacks(module, name)}")
    try:
        parameters = parameters_of(call)
    except SignatureRefused as error:
        raise FunctionRefused(f"{path.name}: {name} {error}") from error
    return UserFunction(path, name, call, parameters, digest)


def _module(path: Path, digest: str) -> ModuleType:
    """Return a module that is loaded from a file, under a name that no other file has."""
    name = f"{path.stem}_{sha256(f'{path}{digest}'.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FunctionRefused(f"{quoted(path.name)} is not a Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as dataclasses and pickle expect
    try:
        with _importing_from(path.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise FunctionRefused(f"it can't be loaded: {described(error, path)}") from error
    return module


@contextmanager
def _importing_from(folder: Path) -> Generator[None]:
    """Let modules of a folder be imported: before others while a file is loaded, and after them in later calls."""
    entry = str(folder)
    known = entry in sys.path
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
        if not known:
            sys.path.append(entry)


def _lacks(module: ModuleType, name: str) -> str:
    if hasattr(module, name):
        return f"has no function {quoted(name)}: this is not callable"
    own = [each for each, held in vars(module).items() if getattr(held, "__module__", "") == module.__name__]
    functions = [each for each in own if callable(vars(module)[each]) and not each.startswith("_")]
    near = similar(name, functions, most=1)
    if near:
        return f"has no function {quoted(name)}; did you mean {near[0]}?"
    return f"has no function {quoted(name)}; its functions: {', '.join(functions) or 'none'}"
