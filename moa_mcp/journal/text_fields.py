"""Which fields of the events hold texts of users and models, by the types of the fields: every `str` but a `Word`.

A new field is a text unless its type says otherwise, so none is stored in clear with `record = "hashes"` by oversight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from moa_mcp.events import Event
from moa_mcp.values import PLAIN

Path: TypeAlias = tuple[str, ...]
"""Keys and positions that lead to a text in an event as JSON; `*` stands for every item of a list."""
_NESTED = 2
"""How often a type occurs on a path: a completion holds others, which hold none."""


@cache
def text_paths() -> Mapping[str, tuple[Path, ...]]:
    """Return the paths of the texts of every kind of event."""
    return {kind: tuple(paths_of(event)) for kind, event in kinds().items()}


@cache
def kinds() -> Mapping[str, type[Event]]:
    """Return the classes of the events, by the kind that their records have."""
    return {get_args(get_type_hints(event)["kind"])[0]: event for event in get_args(Event)}


def paths_of(event: type) -> Iterator[Path]:
    """Yield the paths of the texts of a kind of event.

    Raises:
        TypeError: a text is in a mapping, whose keys no path leads to.

    """
    return _in_fields(event, ())


def _paths(kind: Any, above: tuple[type, ...]) -> Iterator[Path]:  # noqa: ANN401  a type of any form
    """Yield the paths of the texts in a value of this type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is str:
        yield ()
    elif origin is Annotated:
        if PLAIN not in kind.__metadata__:
            yield from _paths(arguments[0], above)
    elif origin in {Union, UnionType}:
        for each in arguments:
            yield from _paths(each, above)
    elif origin is tuple:
        for at, each in enumerate(arguments[:1] if arguments[-1] is ... else arguments):
            yield from _under("*" if arguments[-1] is ... else str(at), each, above)
    elif origin is not None and origin is not Literal and issubclass(origin, Mapping):
        _check_mapping(kind, above)
    elif _has_fields(kind):
        yield from _in_fields(kind, above)


def _has_fields(kind: type) -> bool:
    return any(hasattr(kind, mark) for mark in ("_fields", "__struct_fields__", "__dataclass_fields__"))


def _in_fields(kind: type, above: tuple[type, ...]) -> Iterator[Path]:
    """Yield the paths of the texts in a struct or dataclass, or in a named tuple, which JSON has as a list."""
    if above.count(kind) == _NESTED:
        return
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    for name, each in get_type_hints(kind, include_extras=True).items():
        yield from _under(str(names.index(name)) if names else name, each, (*above, kind))


def _under(key: str, kind: Any, above: tuple[type, ...]) -> Iterator[Path]:  # noqa: ANN401
    for path in _paths(kind, above):
        yield (key, *path)


def _check_mapping(kind: Any, above: tuple[type, ...]) -> None:  # noqa: ANN401
    """Raise `TypeError` for a mapping that holds texts: there is no path to its keys."""
    if any([*_paths(each, above)] for each in get_args(kind)):
        raise TypeError(f"texts in a {kind} can't be hashed; use a tuple of named tuples")
