"""Events as text for a store: what people and models wrote is taken out and kept once, under its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter

from moa_mcp.events import Event

_events: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
_TEXT_FIELDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "run_started": (("question", "text"), ("question", "context"), ("question", "system")),
    "call_started": (("messages", "*", "1"),),
    "attempt_finished": (("completion", "text"), ("completion", "notes", "*")),
    "attempt_failed": (("failure", "message"),),
    "call_finished": (("completion", "text"), ("completion", "notes", "*")),
    "call_failed": (("failure", "message"),),
    "step_finished": (("answers", "*", "text"), ("notes", "*", "text")),
    "run_finished": (("answer",), ("error",)),
}
"""By kind of event: where people's and models' words stand in it, errors included, which may quote them.

`*` is each item of a list.
"""
_REF = "sha256"


class Packed(NamedTuple):
    """An event without its texts, and the texts by hash."""

    body: str
    texts: dict[str, str]


def pack(event: Event) -> Packed:
    """Return an event as JSON, with its texts apart."""
    dumped = _events.dump_python(event, mode="json")
    texts: dict[str, str] = {}
    for holder, key in _places(dumped):
        text = holder[key]
        digest = _digest(text)
        texts[digest] = text
        holder[key] = {_REF: digest}
    return Packed(json.dumps(dumped, separators=(",", ":")), texts)


@lru_cache(maxsize=32)  # all agents of a step are told the same, and each answer comes in two events
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digests(body: str) -> list[str]:
    """Return the hashes of the texts that a packed event refers to."""
    return [holder[key][_REF] for holder, key in _places(json.loads(body), packed=True)]


def unpack(body: str, texts: Mapping[str, str]) -> Event:
    """Return the event that was packed. A text that was not kept is told as its hash."""
    dumped = json.loads(body)
    for holder, key in _places(dumped, packed=True):
        digest = holder[key][_REF]
        holder[key] = texts.get(digest, f"[text not kept; sha256 {digest}]")
    return _events.validate_python(dumped)


def _places(dumped: Any, *, packed: bool = False) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    """Yield the containers and keys of an event's texts."""
    kind = dict if packed else str
    for path in _TEXT_FIELDS.get(dumped["kind"], ()):
        holders = [dumped]
        *steps, last = path
        for step in steps:
            holders = [each for holder in holders for each in (holder if step == "*" else [holder[step]])]
        for holder in holders:
            keys = range(len(holder)) if last == "*" else (int(last) if last.isdigit() else last,)
            yield from ((holder, key) for key in keys if isinstance(holder[key], kind))
