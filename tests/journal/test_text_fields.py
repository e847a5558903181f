"""With ``record = "hashes"`` no text of a user or a model is stored: not one of any field of any event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from decimal import Decimal
from itertools import count
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from msgspec.inspect import is_struct_type

from moa_mcp.events import Event, Happened
from moa_mcp.journal.codec import Packer, unpacked
from moa_mcp.journal.text_fields import paths_of
from moa_mcp.values import PLAIN, Message, Word

EVENTS: tuple[type, ...] = get_args(Event)
SIMPLE: Mapping[Any, Any] = {int: 1, float: 1.5, bool: True, Decimal: Decimal(1), object: 1}
SECRET, NAME = "a text that somebody wrote", "name"
DEPTH = 2


def full(kind: Any, texts: Iterator[int], above: tuple[type, ...] = ()) -> Any:
    """Return a value with every field filled: texts are numbered secrets, words are names."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is str:
        return f"{SECRET} {next(texts)}"
    if is_dataclass(kind) or is_struct_type(kind) or hasattr(kind, "_fields"):
        hints = get_type_hints(kind, include_extras=True)
        return kind(**{name: full(each, texts, (*above, kind)) for name, each in hints.items()})
    if origin is tuple:
        items = [] if above.count(arguments[0]) == DEPTH else [each for each in arguments if each is not ...]
        return tuple(full(each, texts, above) for each in items)
    if origin in {Union, UnionType}:
        return full(next(each for each in arguments if each is not NoneType), texts, above)
    return plain(kind, origin, arguments)


def plain(kind: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a value that holds no text."""
    if origin is Annotated:
        assert PLAIN in kind.__metadata__
        return NAME
    if origin is Literal:
        return arguments[0]
    return SIMPLE[kind] if origin is None else {NAME: 1}


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_no_text_of_any_event_is_stored_in_clear_and_none_is_lost(kind: type) -> None:
    texts = count()
    event = full(kind, texts)
    body, stored = Packer(with_answers=False).pack(event)
    assert SECRET.encode() not in body
    assert len(stored) == next(texts)
    assert list(unpacked([body.decode()], stored)) == [event]


class Grown(Happened, frozen=True, kw_only=True):
    """An event as it may come to be."""

    kind: Literal["grown"] = "grown"
    name: Word
    hint: str
    said: tuple[Message, ...] = ()
    why: str | None = None


def test_a_new_field_is_hashed_unless_its_type_says_that_it_is_a_plain_word() -> None:
    assert set(paths_of(Grown)) == {("hint",), ("said", "*", "1"), ("said", "*", "2", "*", "url"), ("why",)}


class Mapped(Happened, frozen=True, kw_only=True):
    """An event that no path leads into."""

    by_model: Mapping[str, int]


def test_an_event_can_not_hold_texts_where_they_would_not_be_found() -> None:
    with pytest.raises(TypeError, match="can't be hashed"):
        list(paths_of(Mapped))


class Marked(Happened, frozen=True, kw_only=True):
    """An event with a text whose type says something else of it."""

    hint: Annotated[str, "of a model"]


def test_a_text_is_hashed_whatever_else_its_type_says() -> None:
    assert set(paths_of(Marked)) == {("hint",)}
