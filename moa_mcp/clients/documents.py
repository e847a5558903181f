"""Changes one entry of a text in JSON, TOML or YAML, and checks that nothing else has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Literal, Protocol, TypeAlias, cast

from moa_mcp.errors import MoaError

FormatName: TypeAlias = Literal["json", "toml", "yaml"]
Keys: TypeAlias = tuple[str, ...]
"""The keys that lead from the root of a document to a value."""


BY_HAND = "it is written in a way that can't be changed safely; edit it by hand (see --print)"


class NotEditable(MoaError):
    """A text is not valid, or has another shape than expected. The message has the place, and quotes no value."""

    @classmethod
    def at(cls, text: str, offset: int, message: str) -> NotEditable:
        """Return the error for a place in a text, an offset in characters from 0."""
        line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
        return cls(f"line {line}, column {column}: {message}")


class Format(Protocol):
    """A syntax of files. A text without content is an empty mapping. All methods raise `NotEditable`."""

    def read(self, text: str) -> dict[str, Any]:
        """Return the value of a text."""
        ...

    def put(self, text: str, keys: Keys, value: object) -> str:
        """Set a value, and the mappings that lead to it; keep all other characters."""
        ...

    def drop(self, text: str, keys: Keys) -> str:
        """Remove a value that is there with its key; keep all other characters, but for a separator."""
        ...


def format_of(name: FormatName) -> Format:
    """Return a syntax; its library is imported on first use."""
    match name:
        case "json":
            from moa_mcp.clients import jsonc  # noqa: PLC0415

            return jsonc
        case "toml":
            from moa_mcp.clients import toml  # noqa: PLC0415

            return toml
        case "yaml":  # exhaustive
            from moa_mcp.clients import yaml  # noqa: PLC0415

            return yaml


def found(data: object, keys: Keys) -> object:
    """Return the value at a place; None if there is none."""
    for key in keys:
        data = cast("Mapping[str, object]", data).get(key) if isinstance(data, Mapping) else None
    return data


def merged(syntax: Format, text: str, keys: Keys, entry: Mapping[str, object]) -> str:
    """Return the text with the entry. What an older entry has besides is kept, also its comments.

    Raises `NotEditable`.
    """
    expected = deepcopy(syntax.read(text))
    for place, value in list(_changes(found(expected, keys), entry, keys)):
        text = syntax.put(text, place, value)
        _set(expected, place, value)
    return _checked(syntax, text, expected, keys)


def without(syntax: Format, text: str, keys: Keys) -> str:
    """Return the text without the entry; the same text if it has none. Raises `NotEditable`."""
    expected = deepcopy(syntax.read(text))
    if found(expected, keys) is None:
        return text
    _remove(expected, keys)
    return _checked(syntax, syntax.drop(text, keys), expected, keys)


def produces(syntax: Format, before: str, keys: Keys, after: str) -> bool:
    """Return whether `after` is exactly what adding its entry to `before` gives."""
    try:
        entry = found(syntax.read(after), keys)
        is_new = found(syntax.read(before), keys) is None
        return is_new and entry is not None and syntax.put(before, keys, entry) == after
    except NotEditable:
        return False


def _changes(old: object, new: object, keys: Keys) -> Iterator[tuple[Keys, object]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before = cast("Mapping[str, object]", old)
        for key, value in cast("Mapping[str, object]", new).items():
            yield from _changes(before.get(key), value, (*keys, key))
    elif old != new:
        yield keys, new


def _set(data: dict[str, Any], keys: Keys, value: object) -> None:
    for key in keys[:-1]:
        if data.get(key) is None:
            data[key] = {}
        data = data[key]
    data[keys[-1]] = value


def _remove(data: dict[str, Any], keys: Keys) -> None:
    """Remove a value, and the mappings that led to it alone."""
    key, *rest = keys
    within = data.get(key)
    if rest and isinstance(within, dict):
        _remove(cast("dict[str, Any]", within), tuple(rest))
    if not (rest and within):
        data.pop(key, None)


def _checked(syntax: Format, text: str, expected: dict[str, Any], keys: Keys) -> str:
    """Return a text that has the expected value, but for mappings without content on the way to the entry."""
    value = syntax.read(text)
    if found(value, keys) is None:
        _remove(value, keys)
    if value != expected:
        raise NotEditable(BY_HAND)
    return text
