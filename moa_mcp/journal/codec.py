"""Events as text for a store. Texts of users and models are stored once, under their hash.

Only the answer of a provider is stored inside its event, unless it is long, because other runs rarely repeat it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, TypeAlias, cast

import msgspec

from moa_mcp.errors import CallError, CallSkipped, StragglerDropped
from moa_mcp.events import (
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    CallStarted,
    Event,
    Joined,
    StepFinished,
    StepStarted,
)
from moa_mcp.journal.text_fields import kinds, text_paths
from moa_mcp.values import Answer, Comment, Completion, Message, Place, Votes

_REF = "sha256"
REFERENCES = re.compile(f'"{_REF}":"([0-9a-f]{{64}})"')
"""Finds the hashes of texts in events and definitions as JSON, where quotation marks in other texts are escaped."""
_TOLD = "told"
"""Replaces a text with a reference to the attempt that returned it: place, attempt number, number of the answer."""
_ATTEMPT = "attempt"
"""Replaces a completion with the number of the attempt that returned it."""
_RENAMED: Mapping[str, type[CallError]] = {"LeftBehind": StragglerDropped, "LeftOut": CallSkipped}
"""Errors by the kind that earlier versions stored."""
CODEC = ("utf-8", "surrogatepass")
"""Texts of models and command arguments may contain lone surrogates."""
_LONG = 2**14
"""Length from which an answer is stored separately and compressed, in characters."""
_Find: TypeAlias = Callable[[Any], list[tuple[Any, Any]]]


def digest(text: str) -> str:
    """Return the hash under which a text is stored."""
    return hashlib.sha256(text.encode(*CODEC)).hexdigest()


def reference(text: str) -> dict[str, str]:
    """Return what stands for a text in JSON."""
    return {_REF: digest(text)}


def referred(reference: Mapping[str, str]) -> str:
    """Return the hash in a reference. Raises `LookupError` if it is none."""
    return reference[_REF]


Packed: TypeAlias = tuple[bytes, Mapping[str, str]]
"""An event as JSON without its texts, and the texts by hash. A tuple without names, since each call has five."""
_Replace: TypeAlias = Callable[[str], object]
"""Returns the replacement of a text."""


def _exact(value: object) -> object:
    """Return a value of a subclass, which a model or a program may have, as one of the class that JSON knows."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} can't be recorded")


_encode = msgspec.json.Encoder(enc_hook=_exact).encode


class Packer:
    """Encodes the events of one run. Its texts repeat often: all agents of a step get the same prompt."""

    def __init__(self, *, with_answers: bool = True) -> None:
        """With `with_answers`, events contain answers."""
        self._with_answers = with_answers
        self._replacements: dict[str, Mapping[str, Any]] = {}
        """By text: its hash, or the position of an answer that an event contains."""
        self._attempts: dict[Place, AttemptFinished] = {}
        """The last attempt of each call."""
        self._texts: dict[str, str] = {}
        """Texts of the event that is being encoded, by hash."""

    def pack(self, event: Event) -> Packed:
        """Return an event as JSON and its texts."""
        texts = self._texts = {}
        try:
            body = _encode(self._plain(event))
        except UnicodeEncodeError:  # a lone surrogate in an unusual field
            return json.dumps(_dumped(event, self._ref), separators=(",", ":")).encode(), texts
        if self._with_answers and type(event) is AttemptFinished:
            self._attempts[event.place] = event
            for number, completion in enumerate((event.completion, *event.completion.others)):
                if len(completion.text) < _LONG:
                    self._replacements[completion.text] = {_TOLD: [*event.place, event.attempt, number]}
        return body, texts

    def forget(self) -> None:
        """Forget the positions of answers, since events may not have been stored; later events repeat the texts."""
        self._replacements.clear()
        self._attempts.clear()

    def _ref(self, text: str) -> object:
        replacement = self._replacements.get(text)
        if replacement is None:
            replacement = self._replacements[text] = reference(text)
        if _REF in replacement:
            self._texts[replacement[_REF]] = text
        return replacement

    def _tell(self, text: str) -> object:
        return text if self._with_answers and len(text) < _LONG else self._ref(text)

    def _plain(self, event: Event) -> object:  # noqa: C901  a case for each frequent kind of event
        """Return the result of `_dumped`, built by hand for frequent events, in a third of the time."""
        fields: dict[str, object]
        match event:
            case CallStarted():
                ref = self._ref
                messages = [
                    _pictured(each, ref) if each.images else (each.role, ref(each.content)) for each in event.messages
                ]
                fields = {"agent": event.agent, "messages": messages}
                if event.window:
                    fields["window"] = event.window
            case AttemptStarted():
                fields = {"attempt": event.attempt, "model": event.model, "parameters": event.parameters}
                if event.server:
                    fields["server"] = event.server
                if event.others:
                    fields["others"] = _joined(event.others)
            case AttemptFinished():
                completion = _completion(event.completion, self._ref, self._tell)
                fields = {"attempt": event.attempt, "completion": completion, "seconds": event.seconds}
                if event.first_text_s is not None:
                    fields["first_text_s"] = event.first_text_s
                if event.others:
                    fields["others"] = _joined(event.others)
            case CallFinished():
                fields = {"completion": self._ended(event), "seconds": event.seconds}
            case StepStarted():
                return {"at": event.at, "kind": event.kind, "step": event.step, "step_kind": event.step_kind}
            case StepFinished(analysis=None, review=None):
                return _finished(event, self._ref)
            case _:
                return _dumped(event, self._ref)
        return {"at": event.at, "kind": event.kind, "place": [*event.place], **fields}

    def _ended(self, event: CallFinished) -> dict[str, object]:
        attempt = self._attempts.get(event.place)
        if attempt is not None and attempt.completion is event.completion:
            return {_ATTEMPT: attempt.attempt}
        return _completion(event.completion, self._ref, self._ref)


def _joined(others: Iterable[Joined]) -> list[object]:
    return [[[*joined.place], joined.attempt] for joined in others]


def _pictured(message: Message, ref: _Replace) -> tuple[object, ...]:
    """Return a message with images; one without has two parts, as earlier versions wrote all messages."""
    return message.role, ref(message.content), [{**asdict(image), "url": ref(image.url)} for image in message.images]


def _completion(completion: Completion, ref: _Replace, of_answer: _Replace) -> dict[str, object]:
    """Return a completion without its default values."""
    fields: dict[str, object] = {
        "text": of_answer(completion.text),
        "model": completion.model,
        "finish_reason": completion.finish_reason,
        "usage": completion.usage,
        "cost_usd": None if completion.cost_usd is None else str(completion.cost_usd),
    }
    if completion.reasoning:
        fields["reasoning"] = ref(completion.reasoning)
    if completion.notes:
        fields["notes"] = [*map(ref, completion.notes)]
    if completion.others:
        fields["others"] = [_completion(other, ref, of_answer) for other in completion.others]
    return fields


def _finished(event: StepFinished, ref: _Replace) -> dict[str, object]:
    """Return the end of a step without its default values."""
    fields: dict[str, object] = {
        "at": event.at,
        "kind": event.kind,
        "step": event.step,
        "answers": [_answer(each, ref) for each in event.answers],
        "notes": [{"text": ref(note.text), "degrades": note.degrades, "saved": note.saved} for note in event.notes],
        "seconds": event.seconds,
    }
    if event.tally is not None:
        values = [_votes(each, ref) for each in event.tally.values]
        fields["tally"] = {"values": values, "abstained": event.tally.abstained}
    if event.verdict:
        fields["verdict"] = event.verdict
    if event.final:
        fields["final"] = True
    return fields


def _votes(votes: Votes, ref: _Replace) -> list[object]:
    fields = [ref(votes.value), votes.votes, [*votes.answers], votes.weight]
    return fields if votes.weight is not None else fields[:3] if votes.answers else fields[:2]


def _answer(answer: Answer, ref: _Replace) -> dict[str, object]:
    plain = _written(answer, ref)
    if answer.confidence is not None:
        plain["confidence"] = answer.confidence
    if answer.comments:
        plain["comments"] = [_written(comment, ref) for comment in answer.comments]
    if answer.rank is not None:
        plain["rank"] = [*answer.rank]
    return plain


def _written(written: Answer | Comment, ref: _Replace) -> dict[str, object]:
    return {
        "text": ref(written.text),
        "agent": written.agent,
        "place": [*written.place],
        "cut": written.cut,
        "shortened": written.shortened,
    }


def _dumped(event: Event, ref: _Replace) -> object:
    dumped = _with_lists(msgspec.to_builtins(event, enc_hook=_exact))
    for holder, key in _places(dumped, str):
        holder[key] = ref(holder[key])
    return dumped


def _with_lists(value: object) -> Any:  # noqa: ANN401  JSON
    """Return JSON with lists for tuples, so that texts in them can be replaced."""
    if isinstance(value, dict):
        return {key: _with_lists(each) for key, each in cast("dict[str, object]", value).items()}
    if isinstance(value, tuple | list):
        return [_with_lists(each) for each in cast("Sequence[object]", value)]
    return value


def unpacked(bodies: Iterable[str], texts: Mapping[str, str]) -> Iterator[Event]:
    """Yield the events of a run, in order. A text that was not stored is replaced by its hash."""
    return Unpacker().unpacked(bodies, texts)


class Unpacker:
    """Decodes the events of one run, in parts and in order: a later event may refer to the answer of an earlier one."""

    def __init__(self) -> None:
        self._completions: dict[tuple[int, ...], Any] = {}
        """By place and attempt."""

    def copy(self) -> Unpacker:
        """Return one that goes on from here, while this one stays here."""
        other = Unpacker()
        other._completions = self._completions.copy()
        return other

    def unpacked(self, bodies: Iterable[str], texts: Mapping[str, str]) -> Iterator[Event]:
        """Yield the next events, with the texts by hash. A text that was not stored is replaced by its hash."""
        for body in bodies:
            dumped = json.loads(body)
            if dumped["kind"] == "call_finished" and _ATTEMPT in dumped["completion"]:
                dumped["completion"] = self._completions.get((*dumped["place"], dumped["completion"][_ATTEMPT]))
                if dumped["completion"] is None:
                    continue  # its attempt could not be written, so it has no answer
            _rename_kind(dumped)
            for holder, key in _places(dumped, dict):
                holder[key] = self._text(holder[key], texts)
            if dumped["kind"] == "attempt_finished":
                self._completions[(*dumped["place"], dumped["attempt"])] = dumped["completion"]
            yield msgspec.convert(dumped, kinds()[dumped["kind"]], strict=False)  # 10.0 tokens are 10

    def _text(self, ref: dict[str, Any], texts: Mapping[str, str]) -> str:
        if _TOLD not in ref:
            return texts.get(ref[_REF], f"[text not stored; sha256 {ref[_REF]}]")
        *attempt, number = ref[_TOLD]
        completion = self._completions.get(tuple(attempt))
        if completion is None:
            return "[text not stored]"
        return str((completion["others"][number - 1] if number else completion)["text"])


def _rename_kind(dumped: dict[str, Any]) -> None:
    """Give a failure the present name of its kind."""
    match dumped:
        case {"failure": {"kind": str(kind)} as failure} if kind in _RENAMED:
            failure["kind"] = _RENAMED[kind].__name__
        case _:
            pass


def _finder(path: Sequence[str]) -> _Find:
    """Return a function that finds the containers and keys at a path, which may be missing."""
    first, *rest = path
    key = int(first) if first.isdigit() else first
    if not rest:
        if first == "*":
            return lambda held: [(held, at) for at in range(len(held))]
        return lambda held: [(held, key)] if not isinstance(held, dict) or key in held else []
    inner = _finder(rest)
    if first == "*":
        return lambda held: [place for each in held for place in inner(each)]
    if isinstance(key, int):
        return lambda held: inner(held[key]) if key < len(held) else []
    return lambda held: inner(held.get(key) or {})


@cache
def _finders() -> Mapping[str, tuple[_Find, ...]]:
    return {kind: tuple(map(_finder, paths)) for kind, paths in text_paths().items()}


def _places(dumped: Any, kind: type) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    """Yield the containers and keys of an event's texts that have this type."""
    for find in _finders().get(dumped["kind"], ()):
        for holder, key in find(dumped):
            if isinstance(holder[key], kind) and holder[key]:
                yield holder, key
