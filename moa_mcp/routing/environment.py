"""Adds the keys of the user's file to the environment of the process, where litellm and the masks of keys find them.

MCP hosts start servers without the environment of the user's shell. A variable that is set has precedence.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from moa_mcp.routing import commands, credentials, env_file
from moa_mcp.routing.hosts import HOSTS
from moa_mcp.routing.local import LOCAL
from moa_mcp.routing.routes import Route
from moa_mcp.text.redact import is_secret

_log = logging.getLogger(__name__)

TOKEN = "MOA_MCP_TOKEN"  # noqa: S105  the name of a variable
_ENDINGS = ("_API_KEY", "_API_TOKEN", "_API_BASE", "_BASE_URL")
"""Endings of the variables of providers that only litellm lists."""
_FORMER = "MOA_MCP_FORMER_KEY_"
"""Beginning of the names of variables with keys that were replaced."""

_REFERENCE = re.compile(r"\$\{(?:env:)?(\w+)(?::-)?\}|\$(\w+)|\{env:(\w+)\}")
"""How the file of an MCP client refers to a variable, such as ``${env:OPENAI_API_KEY}``."""


class FileKeys(NamedTuple):
    """What a file added to the environment. It holds names alone."""

    path: Path | None
    """None without a file."""
    names: frozenset[str]
    problems: tuple[str, ...]


def add_from_file(models: Mapping[str, Sequence[Route]], named: Collection[str] = ()) -> FileKeys:
    """Set the variables of the user's file that are not set, and return their names.

    Only variables of providers and of routes, and those `named`, are set: a file must not change anything else, such
    as the path of programs. A value that is a reference to its own variable, which an MCP client did not replace,
    counts as not set.
    """
    for name in [name for name, value in os.environ.items() if _is_unresolved(name, value) and is_used(name, models)]:
        del os.environ[name]
    file = env_file.read()
    known = {name for name in file.values if name in named or is_used(name, models)}
    unknown = sorted(file.values.keys() - known)
    added = {name: file.values[name] for name in known if not os.environ.get(name, "").strip()}
    os.environ.update(added)
    problems = file.problems
    if unknown:
        problems += (f"{file.path}: ignored, not a variable of a provider or route: {', '.join(unknown)}",)
    return FileKeys(file.path, frozenset(added), problems)


def renew_from_file(models: Mapping[str, Sequence[Route]], named: Collection[str], before: FileKeys) -> FileKeys | None:
    """Replace the variables that the file has set before by those that it has now.

    A file with problems changes nothing: they are logged, and the result is None. Replaced keys stay in the environment
    under other names, so that they are still masked in the answers of providers that got them.
    """
    file = env_file.read()
    if file.problems:
        _log.error("the keys were not changed: %s", "; ".join(file.problems))
        return None
    set_otherwise = {name for name, value in os.environ.items() if value.strip()} - before.names
    usable = {name for name in file.values if name in named or is_used(name, models)}
    added = {name: file.values[name] for name in usable - set_otherwise}
    replaced = {name: os.environ.pop(name) for name in before.names if name in os.environ}
    os.environ.update(added)
    _keep_masked({value for name, value in replaced.items() if is_secret(name) and value != added.get(name)})
    return FileKeys(file.path, frozenset(added), ())


def _keep_masked(values: Iterable[str]) -> None:
    known = {value for name, value in os.environ.items() if name.startswith(_FORMER)}
    for number, value in enumerate(sorted(set(values) - known), len(known) + 1):
        os.environ[f"{_FORMER}{number}"] = value


def _is_unresolved(name: str, value: str) -> bool:
    match = _REFERENCE.fullmatch(value.strip())
    return match is not None and name in match.groups()


def is_used(name: str, models: Mapping[str, Sequence[Route]]) -> bool:
    """Return whether a variable is one of a known provider, of a route, or the server's token."""
    routes = chain.from_iterable(models.values())
    own = name == TOKEN or any(name == route.api_key_env or name in route.env for route in routes)
    logins = any(name in preset.env for preset in commands.PRESETS.values())
    return own or logins or name.endswith(_ENDINGS) or name.partition("_")[0] in _families()


def _families() -> set[str]:
    """Return what the names of variables of known providers begin with, such as AWS."""
    keys = chain.from_iterable(chain.from_iterable(credentials.KEYS.values()))
    bases = chain.from_iterable(host.variables for host in HOSTS.values())
    locals_ = (local.variable for local in LOCAL.values())
    return {name.partition("_")[0] for name in chain(keys, bases, locals_)}
