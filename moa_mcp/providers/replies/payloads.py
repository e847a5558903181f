"""Reads the JSON of OpenAI-compatible APIs, in all variants that servers send. Pure; independent of the transport."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from msgspec import Struct, field

from moa_mcp.providers.failures.bodies import fault
from moa_mcp.providers.replies import billing
from moa_mcp.providers.replies.completions import Choice
from moa_mcp.providers.replies.finish_reasons import worse
from moa_mcp.providers.replies.json_values import Json, as_list, as_object
from moa_mcp.providers.replies.reasoning_stream import Arriving

_SAID = {"text", "output_text"}
_THOUGHT = {
    "thinking",
    "reasoning",
    "thought",
    "reasoning_content",
    "summary_text",
    "reasoning.text",
    "reasoning.summary",
}
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "reasoning_details", "thinking_blocks")
"""Fields of a message or delta that may hold reasoning; if several do, they hold the same text."""
_REASONING_NAMES = frozenset(_REASONING)
_DEPTH = 4
"""Maximum depth of reasoning nested in parts."""


def text_of(content: object) -> str:
    """Return the answer's text: some models send it in parts, with reasoning between them."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [cast("Json", content)]
    return "".join(_of_part(part) for part in as_list(content))


def _of_part(part: object) -> str:
    if isinstance(part, str):
        return part
    held = as_object(part)
    text = held.get("text") if _is_of(held, _SAID, "text") else None
    return text if isinstance(text, str) else ""


def thought(message: Json) -> str:
    """Return the reasoning: from a field of its own, or from parts of the content."""
    own = "" if _REASONING_NAMES.isdisjoint(message) else _in_a_field(message)
    parts = [as_object(part) for part in as_list(message.get("content"))]
    return own + "".join([_thought(part) for part in parts if _is_of(part, _THOUGHT)]) if parts else own


def _in_a_field(message: Json) -> str:
    return next((text for name in _REASONING if name in message and (text := _thought(message[name]))), "")


def _thought(held: object, depth: int = _DEPTH) -> str:
    """Return the text of reasoning, which may be nested in parts and their summaries."""
    if isinstance(held, str):
        return held
    if not held or not depth:
        return ""
    if isinstance(held, list):
        return "".join(_thought(each, depth - 1) for each in as_list(cast("object", held)))
    inside = as_object(held)
    return next((text for key in _INSIDE if key in inside and (text := _thought(inside[key], depth - 1))), "")


_INSIDE = ("text", "thinking", "reasoning", "content", "summary", "reasoning_content")


def _is_of(part: Json, kinds: set[str], usual: str = "") -> bool:
    kind = part.get("type", usual)
    return isinstance(kind, str) and kind in kinds


def _name(value: object) -> str | None:
    """Return a finish reason; None also for the strings that some servers send for none."""
    return value if isinstance(value, str) and value.lower() not in {"null", "none", ""} else None


class _Growing(Struct):
    """One answer of a reply, as far as it has arrived."""

    text: list[str] = field(default_factory=list[str])
    reasoning: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    finish_reason: str | None = None
    native_reason: str | None = None
    fault: str = ""
    characters: int = 0

    def new_in(self, text: str) -> str:
        """Return what a cumulative text adds to the answer; all of it if it does not start with the text so far."""
        came = "".join(self.text)
        return text.removeprefix(came) if came else text

    @property
    def choice(self) -> Choice:
        """The answer as a choice."""
        reason = worse(self.finish_reason, self.native_reason)
        text, refusal = "".join(self.text), "".join(self.refusal) or None
        return Choice(text, reason, refusal, self.fault, "".join(self.reasoning))


class Reply:
    """A reply as far as it has arrived: complete, or in the chunks of a stream."""

    def __init__(self, *, watched: bool) -> None:
        """Return pieces of the first answer from `take` if it is `watched`."""
        self.billed: Json = {}
        """The part with the usage."""
        self.ended = False
        """Whether the reply has reported its end."""
        self.answers = 0
        """Number of answers, or chunks of one, received."""
        self.thought = 0
        """Characters of reasoning received."""
        self._growing: defaultdict[int, _Growing] = defaultdict(_Growing)
        self._arriving = Arriving() if watched else None

    @property
    def begun(self) -> bool:
        """Whether any text or reasoning has arrived."""
        return any(each.text or each.reasoning for each in self._growing.values())

    @property
    def longest(self) -> int:
        """Characters of the longest answer so far, without reasoning."""
        return max((each.characters for each in self._growing.values()), default=0)

    def take(self, part: Json) -> str | None:
        """Add a part; return the new text of the first answer that can be shown, None if the part holds no answer."""
        choices = [as_object(choice) for choice in as_list(part.get("choices"))]
        self._bill(part, choices)
        self.answers += len(choices)
        new: str | None = None
        for number, choice in zip(_numbers(choices), choices, strict=True):
            piece = self._take(self._growing[number], choice)
            if not number and piece is not None and self._arriving is not None:
                new = (new or "") + self._arriving.take(piece)
        return new

    def cut(self) -> None:
        """End an answer that is not read to its end."""
        self.ended = True
        for each in self._growing.values():
            each.finish_reason = each.finish_reason or "length"

    def choices(self) -> list[Choice]:
        """Return the answers, ordered by number."""
        return [each.choice for _, each in sorted(self._growing.items())]

    def rest(self, answer: str) -> str:
        """Return the part of the complete first answer that has not been returned yet."""
        return self._arriving.end(answer) if self._arriving is not None else ""

    def _bill(self, part: Json, choices: Sequence[Json]) -> None:
        for holder in (part, *choices, as_object(part.get("x_groq"))):
            usage = holder.get("usage")
            if usage and billing.later(as_object(self.billed.get("usage")), as_object(usage)) is usage:
                self.billed = {"usage": usage}

    def _take(self, growing: _Growing, choice: Json) -> str | None:
        """Add a choice; return what it adds to the text, None if it adds neither text nor reasoning."""
        self._end(growing, choice)
        added: str | None = None
        for held in (choice.get("delta"), choice.get("message")):
            message = as_object(held)
            if not message:
                continue
            self._think(growing, message)
            if message.get("refusal"):
                growing.refusal.append(str(message["refusal"]))
            piece = text_of(message.get("content"))
            if piece:
                piece = growing.new_in(piece) if held is choice.get("message") else piece
                growing.text.append(piece)
                growing.characters += len(piece)
            if piece or growing.reasoning:
                added = (added or "") + piece
        text = choice.get("text")
        if added is None and isinstance(text, str):
            added = text
            growing.text.append(text)
            growing.characters += len(text)
        self.ended |= isinstance(choice.get("message"), dict) and not choice.get("delta")
        return added

    def _think(self, growing: _Growing, message: Json) -> None:
        thinking = thought(message)
        if thinking:
            growing.reasoning.append(thinking)
            self.thought += len(thinking)
            if self._arriving is not None and not growing.characters:
                self._arriving.skip_blanks()

    def _end(self, growing: _Growing, choice: Json) -> None:
        if reason := _name(choice.get("finish_reason")):
            growing.finish_reason, self.ended = reason, True
        growing.native_reason = _name(choice.get("native_finish_reason")) or growing.native_reason
        if fault := _broke_off(choice):
            growing.fault, self.ended = fault, True


_MOST_ANSWERS = 1024


def _numbers(choices: Sequence[Json]) -> Sequence[int]:
    """Return the answers' numbers: the choices' own indices, if they all have one and these differ."""
    own = [choice.get("index") for choice in choices]
    numbers = [index for index in own if isinstance(index, int) and 0 <= index < _MOST_ANSWERS]
    return numbers if len(set(numbers)) == len(choices) else range(len(choices))


def _broke_off(choice: Json) -> str:
    """Return why an answer was interrupted after it began; empty if it was not."""
    message = fault(choice).message if choice.get("error") else ""
    return message or ("the answer was interrupted" if choice.get("finish_reason") == "error" else "")
