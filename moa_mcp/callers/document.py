"""Parses and edits callers.toml. An edit keeps everything else in the file, its comments too."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from msgspec import Struct, field
from pydantic import BaseModel, ValidationError

from moa_mcp.callers.caller import Caller
from moa_mcp.callers.tables import NamedCaller, OAuthSettings, Permissions
from moa_mcp.clients.documents import format_of, merged, without
from moa_mcp.config.lines import line_of
from moa_mcp.config.problems import as_key, hinted, listed, problems, shown
from moa_mcp.errors import ConfigError, Problem

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""The name of a caller."""
NAME_RULE = "at most 64 letters, digits, _ and -, beginning with a letter or digit"
_TABLES = ("callers", "oauth")

_AnyTable = TypeVar("_AnyTable", bound=BaseModel)


class Callers(Struct, frozen=True):
    """The contents of a file."""

    named: Mapping[str, Caller] = field(default_factory=dict[str, Caller])
    """The callers with a token, by its SHA-256."""
    oauth: OAuthSettings | None = None


def parse(text: str, source: str) -> Callers:
    """Parse a file from its text. Raises `ConfigError` with all errors and their line numbers."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Problem("", f"not valid TOML: {error}")]) from error
    reader = _Reader()
    callers = reader.callers(document)
    if reader.problems:
        raise ConfigError(source, [_with_line(each, text) for each in reader.problems])
    return callers


def changes(before: Callers, after: Callers) -> list[str]:
    """Return what differs between the contents of two files, without tokens and hashes."""
    old, new = ({each.name: (digest, each) for digest, each in some.named.items()} for some in (before, after))
    found = {
        "added": new.keys() - old.keys(),
        "removed": old.keys() - new.keys(),
        "changed": {name for name in old.keys() & new.keys() if old[name] != new[name]},
    }
    about = [f"{what}: {', '.join(sorted(names))}" for what, names in found.items() if names]
    return about if before.oauth == after.oauth else [*about, "changed: [oauth]"]


def added(text: str, name: str, entry: NamedCaller) -> str:
    """Return the text with a caller. Raises `NotEditable`."""
    fields = entry.model_dump(exclude_defaults=True)
    if entry.max_cost_usd_per_day is not None:
        fields["max_cost_usd_per_day"] = float(entry.max_cost_usd_per_day)  # TOML has no decimal numbers
    if entry.pipelines is not None:
        fields["pipelines"] = list(entry.pipelines)
    return merged(format_of("toml"), text, ("callers", name), fields)


def removed(text: str, name: str) -> str:
    """Return the text without a caller; the same text if it has none. Raises `NotEditable`."""
    return without(format_of("toml"), text, ("callers", name))


def _keys(raw: object) -> Collection[object]:
    return raw.keys() if isinstance(raw, dict) else ()  # pyright: ignore[reportUnknownVariableType]


def _with_line(problem: Problem, text: str) -> Problem:
    line = line_of(text, problem.place)
    return problem if line is None else Problem(f"line {line}, {problem.place}", problem.message)


class _Reader:
    """Validates one document and collects the problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def callers(self, document: dict[str, Any]) -> Callers:
        for name in document.keys() - _TABLES:
            remedy = hinted(name, _TABLES, f"the tables are {listed(_TABLES)}")
            self._say(as_key(name), f"unknown table{remedy}")
        named: dict[str, Caller] = {}
        for name, raw in (self._table("callers", document.get("callers", {})) or {}).items():
            self._add(named, name, raw)
        oauth = self._model(OAuthSettings, "oauth", document["oauth"]) if "oauth" in document else None
        return Callers(named, oauth)

    def _add(self, named: dict[str, Caller], name: str, raw: object) -> None:
        place = f"callers.{as_key(name)}"
        if not NAME.fullmatch(name):
            self._say(place, f"is not a valid name; use {NAME_RULE}")
        if "token" in _keys(raw):
            self._say(f"{place}.token", "tokens do not belong in this file; moa-mcp callers add NAME adds a hash")
            return
        entry = self._model(NamedCaller, place, raw)
        if entry is None:
            return
        if (other := named.get(entry.token_sha256)) is not None:
            self._say(f"{place}.token_sha256", f"is also the hash of {other.name!r}; each caller needs its own token")
        permissions = Permissions(**entry.model_dump(exclude={"token_sha256"}))
        named[entry.token_sha256] = Caller(name, permissions)

    def _model(self, kind: type[_AnyTable], place: str, raw: object) -> _AnyTable | None:
        table = self._table(place, raw)
        if table is None:
            return None
        try:
            return kind.model_validate(table)
        except ValidationError as error:
            self.problems += problems(kind, place, error.errors())
            return None

    def _table(self, place: str, raw: object) -> dict[str, Any] | None:
        if isinstance(raw, dict):
            return raw  # pyright: ignore[reportUnknownVariableType]
        self._say(place, f"{shown(raw)} should be a table")
        return None

    def _say(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))
