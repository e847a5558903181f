"""Events as text for a store: what people and models wrote is taken out and kept once, under its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias

import orjson
from pydantic import Field, TypeAdapter

from moa_mcp.events import AttemptFinished, AttemptStarted, CallFinished, CallStarted, Event
from moa_mcp.values import Completion

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


class Packer:
    """Packs the events of one run, whose texts come again and again: all agents of a step are told the same."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        """By text: its hash."""

    def pack(self, event: Event) -> Packed:
        """Return an event as JSON, with its texts apart."""
        texts: dict[str, str] = {}

        def ref(text: str) -> dict[str, str]:
            digest = self._digests.get(text)
            if digest is None:
                digest = self._digests[text] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            texts[digest] = text
            return {_REF: digest}

        try:
            return Packed(orjson.dumps(_plain(event, ref)).decode(), texts)
        except TypeError:  # half a character, or a number beyond 64 bits, where no text is expected
            return Packed(json.dumps(_dumped(event, ref), separators=(",", ":")), texts)


_Ref: TypeAlias = Callable[[str], dict[str, str]]


def _plain(event: Event, ref: _Ref) -> object:
    """Return what `_dumped` does; by hand for the events that every call has, which takes a third of the time."""
    told: dict[str, object]
    match event:
        case CallStarted():
            told = {"agent": event.agent, "messages": [(role, ref(content)) for role, content in event.messages]}
        case AttemptStarted():
            told = {"attempt": event.attempt, "model": event.model, "parameters": event.parameters, **_others(event)}
        case AttemptFinished():
            completion = _completion(event.completion, ref)
            told = {"attempt": event.attempt, "completion": completion, "seconds": event.seconds, **_others(event)}
        case CallFinished():
            told = {"completion": _completion(event.completion, ref), "seconds": event.seconds}
        case _:
            return _dumped(event, ref)
    return {"at": event.at, "kind": event.kind, "place": [*event.place], **told}


def _others(event: AttemptStarted | AttemptFinished) -> dict[str, object]:
    return {"others": [[[*joined.place], joined.attempt] for joined in event.others]}


def _completion(completion: Completion, ref: _Ref) -> dict[str, object]:
    return {
        "text": ref(completion.text),
        "model": completion.model,
        "finish_reason": completion.finish_reason,
        "usage": completion.usage,
        "cost_usd": None if completion.cost_usd is None else str(completion.cost_usd),
        "notes": [*map(ref, completion.notes)],
        "others": [_completion(other, ref) for other in completion.others],
    }


def _dumped(event: Event, ref: _Ref) -> object:
    dumped = _events.dump_python(event, mode="json")
    for holder, key in _places(dumped, str):
        holder[key] = ref(holder[key])
    return dumped


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
