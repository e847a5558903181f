"""Events as text for a store: what people and models wrote is taken out and kept once, under its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, TypeAlias

import orjson
from pydantic import Field, TypeAdapter

from moa_mcp.events import Event

_events: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
_COMPLETION = (
    ("completion", "text"),
    ("completion", "notes", "*"),
    ("completion", "others", "*", "text"),
    ("completion", "others", "*", "notes", "*"),
)
_TEXT_FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "run_started": (("question", "text"), ("question", "context"), ("question", "system")),
    "call_started": (("messages", "*", "1"),),
    "attempt_finished": _COMPLETION,
    "attempt_failed": (("failure", "message"),),
    "call_finished": _COMPLETION,
    "call_failed": (("failure", "message"),),
    "step_finished": (("answers", "*", "text"), ("notes", "*", "text")),
    "run_finished": (("answer",), ("error",)),
}
"""By kind of event: where people's and models' words stand in it, errors included, which may quote them.

`*` is each item of a list.
"""
_REF = "sha256"
_Find: TypeAlias = Callable[[Any], list[tuple[Any, Any]]]


class Packed(NamedTuple):
    """An event without its texts, and the texts by hash."""

    body: str
    texts: dict[str, str]


def pack(event: Event) -> Packed:
    """Return an event as JSON, with its texts apart."""
    dumped = _events.dump_python(event, mode="json")
    texts: dict[str, str] = {}
    for holder, key in _places(dumped, str):
        text = holder[key]
        digest = _digest(text)
        texts[digest] = text
        holder[key] = {_REF: digest}
    try:
        return Packed(orjson.dumps(dumped).decode(), texts)
    except TypeError:  # half a character, or a number beyond 64 bits, where no text is expected
        return Packed(json.dumps(dumped, separators=(",", ":")), texts)


@lru_cache(maxsize=128)  # all agents of a step are told the same, and each answer comes in two events
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def unpack(body: str, texts: Mapping[str, str]) -> Event:
    """Return the event that was packed. A text that was not kept is told as its hash."""
    dumped = json.loads(body)
    for holder, key in _places(dumped, dict):
        digest = holder[key][_REF]
        holder[key] = texts.get(digest, f"[text not kept; sha256 {digest}]")
    return _events.validate_python(dumped)


def _finder(path: Sequence[str]) -> _Find:
    """Return what finds the containers and keys at a path; they may be missing."""
    first, *rest = path
    key = int(first) if first.isdigit() else first
    if not rest:
        return (lambda held: [(held, at) for at in range(len(held))]) if first == "*" else lambda held: [(held, key)]
    inner = _finder(rest)
    if first == "*":
        return lambda held: [place for each in held for place in inner(each)]
    return lambda held: inner(held.get(first, ()))


_PLACES = {kind: tuple(map(_finder, paths)) for kind, paths in _TEXT_FIELDS.items()}


def _places(dumped: Any, kind: type) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    """Yield the containers and keys of an event's texts, which are of this kind there."""
    for find in _PLACES.get(dumped["kind"], ()):
        for holder, key in find(dumped):
            if isinstance(holder[key], kind):
                yield holder, key
